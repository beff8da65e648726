import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll } from 'vitest'

const servers: ChildProcess[] = []
afterAll(async () => {
  for (const child of servers) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

/** Starts a Redis with this policy for a full memory. */
export async function redisWith(policy: string): Promise<{ readonly url: string }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const words = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--maxmemory-policy',
    policy,
  ]
  const child = spawn('redis-server', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  servers.push(child)
  let log = ''
  for await (const chunk of child.stdout) {
    log += chunk
    if (log.includes('Ready to accept connections')) break
  }
  child.stdout.destroy()
  return { url: `redis://127.0.0.1:${port}` }
}
