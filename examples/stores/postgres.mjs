// A store for Postgres, with the package pg. Every decision is one SELECT and, if it charges, one UPDATE.
//
//   import { createLimiter } from 'ratethrottle'
//   import { postgresStore } from './postgres.mjs'
//   const storage = postgresStore({ connectionString: process.env.DATABASE_URL })
//   const limiter = createLimiter({ limits: '100/minute', storage })
import pg from 'pg'

/** UNLOGGED: fast, and counters need not survive a crash. A version is never used twice, so a row that was
 * removed and made again is not taken for the one before. */
const TABLE = `CREATE UNLOGGED TABLE IF NOT EXISTS ratethrottle (
  key text PRIMARY KEY, value bytea NOT NULL, version bigserial, expires timestamptz NOT NULL)`
/** One row, whether there is a value or not: the time is the database's own. */
const GET = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now, value, version
  FROM (SELECT 1) AS one LEFT JOIN ratethrottle ON key = $1 AND expires > clock_timestamp()`
const EXPIRES = `clock_timestamp() + $3::float8 * interval '1 millisecond'`
const INSERT = `INSERT INTO ratethrottle AS row (key, value, expires) VALUES ($1, $2, ${EXPIRES})
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = DEFAULT, expires = excluded.expires
  WHERE row.expires <= clock_timestamp()`
const UPDATE = `UPDATE ratethrottle SET value = $2, version = DEFAULT, expires = ${EXPIRES}
  WHERE key = $1 AND version = $4`
const SWEEP = 'DELETE FROM ratethrottle WHERE expires < clock_timestamp()'
const SWEEP_MS = 60_000

/** @param options as for a `Pool` of pg */
export function postgresStore(options) {
  const pool = new pg.Pool({ max: 8, ...options })
  // An idle connection that breaks is replaced; a query that breaks rejects.
  pool.on('error', () => {})
  const sweeper = setInterval(() => pool.query(SWEEP).catch(() => {}), SWEEP_MS).unref()
  let ready

  /** Makes the table before the first query. Two processes at once: one of them fails and finds it made. */
  function query(text, values) {
    ready ??= pool.query(TABLE).catch(() => pool.query(TABLE))
    ready.catch(() => {
      ready = undefined
    })
    return ready.then(() => pool.query({ name: text.slice(0, 60), text, values }))
  }

  return {
    name: 'Postgres',
    async get(key) {
      const { rows } = await query(GET, [key])
      const [{ now, value, version }] = rows
      return value === null ? { nowMs: now } : { value, version, nowMs: now }
    },
    async compareAndSet(key, value, version, ttlMs) {
      const values = [key, Buffer.from(value), ttlMs]
      const { rowCount } = await (version === undefined
        ? query(INSERT, values)
        : query(UPDATE, [...values, version]))
      return rowCount === 1
    },
    async close() {
      clearInterval(sweeper)
      await pool.end()
    },
  }
}
