import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'

test('examples/koa.mjs limits a route, and downloads to one at a time', async () => {
  const child = spawn(process.execPath, ['examples/koa.mjs'], {
    env: { ...process.env, PORT: '0' },
  })
  onTestFinished(() => void child.kill())
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  await expect.poll(() => out, { timeout: 60_000 }).toMatch(/listening on \d+/)
  const base = `http://127.0.0.1:${/\d+/.exec(out)?.[0]}`
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await fetch(`${base}/search`)).status)
  expect(statuses).toEqual([200, 200, 200, 429])
  const download = await fetch(`${base}/download`)
  const second = await fetch(`${base}/download`)
  expect([download.status, second.status, second.headers.get('retry-after')]).toEqual([
    200,
    429,
    '1',
  ])
  expect(await download.text()).toContain('line 5')
  await expect.poll(async () => (await fetch(`${base}/download`)).status).toBe(200)
})
