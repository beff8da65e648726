import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { socketLimits } from 'ratethrottle/websocket'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { handshake, open, serve } from './servers.ts'

it('attach: a client that leaves while it is decided about holds no permit', async () => {
  let asked = 0
  let answer = (): void => {}
  const key = (): Promise<string> => {
    asked++
    return new Promise((resolve) => {
      answer = () => resolve('ada')
    })
  }
  const limits = socketLimits({ concurrent: 1, key })
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  const admitted: unknown[] = []
  sockets.on('connection', async (socket, request) => {
    admitted.push(await limits.attach(socket, request))
  })
  await once(sockets, 'listening')
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
    limits.close()
  })
  const url = `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`
  for (let i = 0; i < 3; i++) {
    const client = await open(url)
    await expect.poll(() => asked).toBe(i + 1)
    client.terminate()
    await expect.poll(() => sockets.clients.size).toBe(0)
    answer()
    await expect.poll(() => admitted.length).toBe(i + 1)
  }
  await open(url)
  await expect.poll(() => asked).toBe(4)
  answer()
  await expect.poll(() => admitted).toEqual([false, false, false, true])
})

it('upgrade: a client that resets its connection while it is decided about ends no process', async () => {
  const thrown: unknown[] = []
  const note = (error: unknown): void => void thrown.push(error)
  process.on('uncaughtException', note)
  onTestFinished(() => void process.off('uncaughtException', note))
  const answers: (() => void)[] = []
  const key = (): Promise<string> => new Promise((resolve) => answers.push(() => resolve('ada')))
  const { url, port, server } = await serve({ concurrent: 1, key })
  const ends: unknown[] = []
  server.prependListener('upgrade', (_, socket) => void socket.on('close', () => ends.push(1)))
  for (let i = 0; i < 3; i++) {
    const client = connect(port, '127.0.0.1')
    client.write(handshake())
    await expect.poll(() => answers.length).toBe(i + 1)
    await new Promise(setImmediate)
    client.resetAndDestroy()
    await expect.poll(() => ends.length).toBe(i + 1)
    answers[i]?.()
  }
  const opened = open(url)
  await expect.poll(() => answers.length).toBe(4)
  answers[3]?.()
  await opened
  expect(thrown).toEqual([])
})
