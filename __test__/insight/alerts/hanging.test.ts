import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { run } from '../../fixtures/child.ts'

it('a webhook that hangs is under way beside requests, and keeps no process alive', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const url = `http://127.0.0.1:${port}/`
  // It has nothing to end it: no close(), no exit().
  const { code, out } = await run('insight/alerts/hanging.mjs', [url, '300'], {}, [], 60_000)
  expect(code).toBe(0)
  const { waiting, alive, without, withIt } = JSON.parse(out)
  console.log(
    `a request takes ${without} us of the processor, and ${withIt} us beside a webhook that hangs`,
  )
  expect(waiting).toBe(20)
  expect(alive.filter((name: string) => /TCP|TLS|Timeout/.test(name))).toEqual([])
  expect(sockets.length).toBeGreaterThan(0)
})
