import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { openLane } from '../lane.mjs'
import { REDIS_SUBJECTS } from '../peers/redis.mjs'
import { report } from '../progress.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'
import { CASES, tables } from './redis-tables.mjs'

const FIRE_MS = 500
/** A limiter's calls to a redis-server of this machine: how many a second, and how long one takes. */
export const redis = {
  name: 'redis',
  cases: Object.fromEntries(Object.keys(CASES).map((name) => [name, REDIS_SUBJECTS])),
  rounds: 11,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  const server = await startServer()
  try {
    for (const { name, subjects } of cases)
      yield* await runCase(server, name, subjects, rounds, node)
  } finally {
    server.child.kill('SIGKILL')
  }
}

function runCase({ port }, name, subjects, rounds, node) {
  const tasks = subjects.map((subject) => ({ case: name, subject, port, ...CASES[name] }))
  return withLanes(
    tasks,
    (task) => openLane('redis', task, { node }),
    async (lanes) => {
      report(`${name}: ${rounds} rounds of ${subjects.join(', ')}`)
      for (const lane of lanes) await lane.ask('warm')
      const results = await takeTurns(lanes, rounds, (lane) => lane.ask('fire', { ms: FIRE_MS }))
      return results.map((result, index) => toRow(name, subjects[index], result))
    },
  )
}

function toRow(name, subject, result) {
  const { median, min, max } = spread(result.map(({ opsPerSec }) => opsPerSec))
  const of = (field) => round2(spread(result.map((round) => round[field])).median)
  return {
    suite: 'redis',
    case: name,
    subject,
    opsPerSec: Math.round(median),
    min: Math.round(min),
    max: Math.round(max),
    p50Us: of('p50Us'),
    p99Us: of('p99Us'),
    rounds: result.length,
  }
}

async function startServer() {
  const port = await freePort()
  const settings = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', settings.map(String), { stdio: 'ignore' })
  child.on('error', () => {})
  for (let left = 500; !(await listens(port)); left--) {
    if (left === 0) throw new Error('redis-server does not start: node scripts/redis.mjs')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return { child, port }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
