import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { constants, deflateRawSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { eventually, frame, openRaw, serve } from './servers.ts'

/** A frame of a message that was compressed. */
function compressedFrame(payload: Buffer): Buffer {
  const head = Buffer.from([0xc2, 0x80 | 126, payload.length >> 8, payload.length & 255])
  return Buffer.concat([head, Buffer.alloc(4), payload])
}

it('a client that floods a paused connection is stopped by its own TCP, and none of it is lost', async () => {
  const { port, sockets } = await serve({ messages: '1000/second' })
  let heard = 0
  const connected = once(sockets, 'connection')
  const client = await openRaw(port)
  const [socket] = (await connected) as [WebSocket]
  socket.on('message', () => heard++).on('error', () => {})
  const chunk = Buffer.concat(Array.from({ length: 2_000 }, () => frame('y'.repeat(500))))
  let written = 0
  let isFull = false
  for (let i = 0; i < 200 && !isFull; i++) {
    const drained = new Promise((resolve) => client.write(chunk, () => resolve(true)))
    isFull = (await Promise.race([drained, pause(300)])) !== true
    written += chunk.length
  }
  expect(isFull).toBe(true)
  const { bytesRead } = (socket as unknown as { _socket: { bytesRead: number } })._socket
  // What the limit has admitted by now, and one read of the connection, or two.
  const perMessage = chunk.length / 2_000
  expect(bytesRead).toBeLessThan(heard * perMessage + 300_000)
  expect(written).toBeGreaterThan(bytesRead)
  client.destroy()
})

it.each(['pause', 'drop'])('a flood costs the server no memory: %s', async (overflow) => {
  const ms = byLength(300, 5_000)
  const { out } = await run('websocket/flood.mjs', [String(ms), overflow])
  const { most, heard, read, written } = JSON.parse(out)
  expect(most).toBeLessThan(64_000_000)
  expect(heard).toBeGreaterThanOrEqual(1_000)
  if (overflow === 'pause') expect(read).toBeLessThan(heard * 106 + 400_000)
  else expect(written).toBeGreaterThan(1_000_000)
})

it('a compressed flood that does not fit in memory is closed, with a reason', async () => {
  const events: string[] = []
  const onLimit = ({ reason, action }: { reason: string; action: string }) =>
    events.push(`${reason} ${action}`)
  const { port, sockets } = await serve(
    { messages: '1/hour', onLimit },
    { ws: { perMessageDeflate: true } },
  )
  const closed = once(sockets, 'connection').then(([socket]) => once(socket, 'close'))
  const client = await openRaw(port, 'Sec-WebSocket-Extensions: permessage-deflate\r\n')
  // 4 MB each, which come in one read of the connection.
  const packed = deflateRawSync(Buffer.alloc(4_000_000), { finishFlush: constants.Z_SYNC_FLUSH })
  const one = compressedFrame(packed.subarray(0, -4))
  let answer = Buffer.alloc(0)
  client.on('data', (part: Buffer) => {
    answer = Buffer.concat([answer, part])
    // A slow machine decides late: clients that wait that long get pongs, which are empty.
    while (answer[0] === 0x8a && answer.length > 1) answer = answer.subarray(2)
  })
  client.write(Buffer.concat(Array.from({ length: 10 }, () => one)))
  expect(await eventually(() => answer.length >= 2 + (answer[1] ?? 125))).toBe(true)
  expect([answer[0], answer.readUInt16BE(2), String(answer.subarray(4))]).toEqual([
    0x88,
    1008,
    'Too many messages at once',
  ])
  client.destroy()
  await closed
  expect(events).toEqual(['messages pause', 'held close'])
})

it('a client that keeps sending after it was closed is cut off', async () => {
  const { port, sockets } = await serve({ messages: '1/hour', overflow: 'close' })
  sockets.on('connection', (socket) => socket.on('error', () => {}))
  const client = await openRaw(port)
  const chunk = Buffer.concat(Array.from({ length: 1_000 }, () => frame('y'.repeat(500))))
  const closed = new Promise<void>((resolve) => {
    client.once('close', () => resolve())
  })
  const flood = (): void => {
    if (client.writable) client.write(chunk, () => setImmediate(flood))
  }
  flood()
  await closed
  expect(await eventually(() => sockets.clients.size === 0)).toBe(true)
})
