import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { open, openMany } from './servers.ts'

it('examples/websocket.mjs serves a chat of at most five connections a client', async () => {
  const file = join(ROOT, 'examples/websocket.mjs')
  const child = spawn(process.execPath, [file], { env: { ...process.env, PORT: '0' } })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = await once(child.stdout, 'data')
  const url = String(line).trim()
  const client = await open(url)
  client.send('hello')
  expect(String((await once(client, 'message'))[0])).toBe('hello')
  const seen = await openMany(url, 6)
  expect(seen.filter((one) => one === 429).length).toBe(2)
  expect(await (await fetch(url.replace('ws', 'http'))).text()).toBe('connect with a WebSocket\n')
})
