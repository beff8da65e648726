// How far a request travels: `npm run hops`. For one warmed, admitted request of each kind it prints
//
// - the files of ours on the stack in the moment when the counters are asked: at the native call, seen by an
//   injected clock, or where the command is handed to ioredis;
// - the TypeScript files in which any function runs for that request, by V8's precise coverage.
//
// Fails if Fastify, in memory, needs more than 4 and 12.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { Session } from 'node:inspector/promises'
import { createServer } from 'node:net'
import { relative, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import express from 'express'
import fastify from 'fastify'
import { Redis } from 'ioredis'
import { rateThrottle } from 'ratethrottle/express'
import plugin from 'ratethrottle/fastify'

const MOST_ON_STACK = 4
const MOST_IN_ALL = 12
const WARM_UP = 300
const DIST = resolve(import.meta.dirname, '../dist')
const LIMITS = '1000000/minute'

/** The source of a compiled file, or undefined if it is none of ours. */
function sourceOf(url) {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  return path.startsWith(`${DIST}/`) ? relative(DIST, path).replace(/\.js$/, '.ts') : undefined
}

/** Our files among the callers, the innermost last. */
function filesOnStack() {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 100
  const { stack } = new Error('where')
  Error.stackTraceLimit = limit
  const paths = [...stack.matchAll(/\(?((?:file:\/\/)?\/[^\s()]+):\d+:\d+\)?$/gm)]
  return [...new Set(paths.flatMap(([, path]) => sourceOf(path) ?? []))].reverse()
}

let seen = []
const clock = {
  now() {
    seen = filesOnStack()
    return performance.now()
  },
}

const kinds = {
  Fastify: (options) => fastifyServer(options),
  Express: (options) => expressServer(options),
}

async function fastifyServer(options) {
  const app = fastify()
  await app.register(plugin, { limits: LIMITS, ...options })
  app.get('/', (_, reply) => reply.send('hello'))
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  return { address, close: () => app.close() }
}

async function expressServer(options) {
  const app = express()
  const limiter = rateThrottle({ limits: LIMITS, ...options })
  app.use(limiter)
  app.get('/', (_, response) => response.send('hello'))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    limiter.close()
    server.close()
  }
  return { address: `http://127.0.0.1:${server.address().port}`, close }
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

async function ask(address) {
  const [response] = await once(get(address, { agent }), 'response')
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
}

async function warmed(address) {
  for (let i = 0; i < WARM_UP; i++) await ask(address)
}

/** The files in which a function runs during one request. */
async function filesRun(address) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  await warmed(address)
  await session.post('Profiler.takePreciseCoverage')
  await ask(address)
  const { result } = await session.post('Profiler.takePreciseCoverage')
  await session.post('Profiler.stopPreciseCoverage')
  session.disconnect()
  const ran = result.filter(({ functions }) => functions.some(({ ranges }) => ranges[0].count > 0))
  return ran.flatMap(({ url }) => sourceOf(url) ?? []).sort()
}

async function measure(name, make, options, forStack) {
  const plain = await make(options)
  const run = await filesRun(plain.address)
  await plain.close()
  const watched = await make({ ...options, ...forStack })
  await warmed(watched.address)
  seen = []
  await ask(watched.address)
  await watched.close()
  return { name, stack: seen, run }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/** Redis on a free port, and the stack in the moment when a command is handed to ioredis. */
async function withRedis(use) {
  execFileSync('redis-server', ['--version'])
  const port = await freePort()
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', options.map(String), { stdio: 'ignore' })
  const { sendCommand } = Redis.prototype
  Redis.prototype.sendCommand = function (command, ...rest) {
    // A call about the client's key, not a heartbeat.
    if (command.args.some((arg) => String(arg).includes('{127.0.0.1'))) seen = filesOnStack()
    return sendCommand.call(this, command, ...rest)
  }
  try {
    await pause(300)
    return await use(`redis://127.0.0.1:${port}/0`)
  } finally {
    Redis.prototype.sendCommand = sendCommand
    server.kill()
  }
}

const rows = []
for (const [name, make] of Object.entries(kinds)) {
  rows.push(await measure(`${name}, in memory`, make, {}, { clock }))
}
await withRedis(async (storage) => {
  for (const [name, make] of Object.entries(kinds)) {
    const options = { storage, name: 'hops', deadlineMs: 5_000 }
    rows.push(await measure(`${name}, in Redis`, make, options, {}))
  }
})
agent.destroy()

for (const { name, stack, run } of rows) {
  console.log(`\n${name}`)
  console.log(`  on the stack ${String(stack.length).padStart(2)}: ${stack.join(' → ')}`)
  console.log(`  in all       ${String(run.length).padStart(2)}: ${run.join(', ')}`)
}
const [first] = rows
if (first.stack.length > MOST_ON_STACK || first.run.length > MOST_IN_ALL) {
  console.log(`\ntoo far: at most ${MOST_ON_STACK} on the stack and ${MOST_IN_ALL} in all`)
  process.exitCode = 1
}
