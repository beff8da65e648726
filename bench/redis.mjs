import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const TRIES = 100
const PAUSE_MS = 50

/** A server of the benchmark's own, empty and without a disk; nothing where Redis is not installed. */
export async function startRedis() {
  if (spawnSync('redis-server', ['--version']).error !== undefined) return undefined
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', args, { stdio: 'ignore' })
  await untilItAnswers(port)
  return { url: `redis://127.0.0.1:${port}/0`, stop: () => server.kill() }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function untilItAnswers(port) {
  for (let left = TRIES; left > 0; left--) {
    const socket = connect({ port, host: '127.0.0.1' })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(PAUSE_MS)
    } finally {
      socket.destroy()
    }
  }
  throw new Error('redis-server does not answer')
}
