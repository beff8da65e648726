import { StoreFailure } from '../remote/failure.ts'
import { groupOf, readKeyPrefix, serverWideName } from './key.ts'
import { type Script, scriptOf } from './script/index.ts'
import { SideConnection } from './side-connection.ts'

/** Steps of a minute and of an hour: how long they are, and how long Redis keeps them: 25 hours, and 31 days. */
const KEPT_MS: Readonly<Record<KeptUnit, number>> = { minute: 90_000_000, hour: 2_678_400_000 }
/** Fields of one step, each of which one process has: further processes are left out. About 1 KB each. */
const MAX_FIELDS = 1_000
/** A longer value is none of ours. */
const MAX_VALUE = 65_536
/** Steps that are asked for in one call. */
export const MAX_ASKED = 120

/*
 * Notes what a process has counted in some steps.
 *
 *   KEYS  for each step that is noted: its hash, that of the step before and that of the step after
 *   ARGV  how many fields a hash may have; then for each step: the field, the sum of all its counts, how long its hash is
 *         kept, and the value
 *
 * The counts of a step only grow, so a call that is sent again, and one that comes late, changes nothing. A process of
 * another one's host may take the step for the one before or after, by a clock that differs: it stays where it is.
 *
 * Replies with the time in milliseconds.
 */
const PUSH_SCRIPT: Script = scriptOf(`
local most = tonumber(ARGV[1])
for i = 1, #KEYS / 3 do
  local field, total = ARGV[4 * i - 2], tonumber(ARGV[4 * i - 1])
  local key, old = KEYS[3 * i - 2], false
  for j = 3 * i - 2, 3 * i do
    if redis.call('TYPE', KEYS[j]).ok == 'hash' then
      local found = redis.call('HGET', KEYS[j], field)
      if found then key, old = KEYS[j], found end
    elseif j == 3 * i - 2 then
      redis.call('DEL', KEYS[j])
    end
  end
  local was = old and tonumber(string.match(old, '^(%d+) ')) or -1
  if total >= was and (old or redis.call('HLEN', key) < most) then
    redis.call('HSET', key, field, ARGV[4 * i - 1] .. ' ' .. ARGV[4 * i + 1])
    redis.call('PEXPIRE', key, ARGV[4 * i])
  end
end
local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000) }
`)

/** Replies with the fields and values of each hash; nothing of one that another program has filled. */
const READ_SCRIPT: Script = scriptOf(`
local reply = {}
for i, key in ipairs(KEYS) do
  reply[i] = {}
  if redis.call('TYPE', key).ok == 'hash' and redis.call('HLEN', key) <= tonumber(ARGV[1]) then
    reply[i] = redis.call('HGETALL', key)
  end
end
return reply
`)

/** Minutes and hours are kept. */
export type KeptUnit = 'minute' | 'hour'

/** A step: its number since 1970. */
export interface StepId {
  readonly unit: KeptUnit
  readonly step: number
}

/** What a process has counted in a step. */
export interface NotedStep extends StepId {
  /** Of all that notes the same: one process, or the processes of a host that count in one memory. */
  readonly field: string
  /** The sum of its counts. */
  readonly total: number
  readonly value: string
}

/** Fields and values of one step: anything may be in them. */
export type StepFields = readonly (readonly [field: string, value: string])[]

/** What the hosts of a service have counted, in Redis. */
export class RedisInsightSums {
  readonly #connection: SideConnection
  readonly #name: string

  /**
   * @param storage a URL, a client of ioredis or a `RedisStorage`
   * @param name of the insight
   * @throws TypeError or RangeError for what is none; Error with code MISSING_IOREDIS
   */
  constructor(storage: unknown, keyPrefix: string | undefined, name = '') {
    this.#name = serverWideName(readKeyPrefix(keyPrefix), groupOf(name, 'insight'))
    this.#connection = new SideConnection(storage)
  }

  /**
   * Notes these steps, in one call. Without any it only asks for the time.
   *
   * @returns the time of the server, in milliseconds
   * @throws StoreFailure after a second at the latest
   */
  async push(steps: readonly NotedStep[]): Promise<number> {
    const named = steps.flatMap(({ unit, step }) =>
      [0, -1, 1].map((by) => this.#keyOf({ unit, step: step + by })),
    )
    // A cluster has to be told where to ask.
    const keys = named.length === 0 ? [this.#name] : named
    const told = steps.flatMap(({ unit, field, total, value }) => [
      field,
      total,
      KEPT_MS[unit],
      value,
    ])
    const reply = await this.#connection.run(PUSH_SCRIPT, [
      keys.length,
      ...keys,
      MAX_FIELDS,
      ...told,
    ])
    const [nowMs] = Array.isArray(reply) ? reply.map(Number) : []
    if (nowMs === undefined || !Number.isSafeInteger(nowMs)) throw new StoreFailure('garbled')
    return nowMs
  }

  /**
   * What all processes have noted of these steps.
   *
   * @param steps at most {@link MAX_ASKED}
   * @throws StoreFailure after a second at the latest
   */
  async read(steps: readonly StepId[]): Promise<readonly StepFields[]> {
    const keys = steps.map((step) => this.#keyOf(step))
    const reply = await this.#connection.run(READ_SCRIPT, [keys.length, ...keys, MAX_FIELDS])
    if (!Array.isArray(reply) || reply.length !== steps.length) throw new StoreFailure('garbled')
    return reply.map(fieldsOf)
  }

  close(): void {
    this.#connection.close()
  }

  /** All in one slot of a cluster. */
  #keyOf({ unit, step }: StepId): string {
    return `${this.#name}:${unit}:${step}`
  }
}

function fieldsOf(words: unknown): StepFields {
  if (!Array.isArray(words)) return []
  const fields: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [field, value] = [words[i], words[i + 1]] as readonly unknown[]
    if (typeof field !== 'string' || typeof value !== 'string' || value.length > MAX_VALUE) continue
    const sum = /^\d{1,16} /.exec(value)?.[0]
    if (sum !== undefined) fields.push([field, value.slice(sum.length)])
  }
  return fields
}
