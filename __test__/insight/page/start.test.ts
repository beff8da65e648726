import { spawn } from 'node:child_process'
import { expect, it } from 'vitest'
import type { Snapshot } from '../../../ts/insight/page/client/snapshot.ts'
import { ROOT } from '../../fixtures/child.ts'
import { ask, later, until } from './serve.ts'

it('npm start serves the page of its own requests, to those who have the address that it prints', async () => {
  const env = { ...process.env, PORT: '0' }
  const child = spawn(process.execPath, ['examples/start.mjs'], { cwd: ROOT, env })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  later(() => {
    child.kill('SIGKILL')
    return ended
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const address = /http:\/\/127\.0\.0\.1:\d+\/limits\?token=[0-9a-f]{32}\n/
  await until(() => address.test(out))
  const url = address.exec(out)?.[0].trim() ?? ''
  const read = async (): Promise<Snapshot> =>
    JSON.parse((await ask(`${url}&figures=once`)).body) as Snapshot
  expect((await ask(url)).body).toContain('<title>Rate limits of the example</title>')
  for (const wrong of [url.slice(0, -1), url.replace(/\?.*/, ''), `${url}&token=x`]) {
    expect((await ask(wrong)).status).toBe(404)
  }
  await until(() => out.includes('Watch it:\n'))
  const first = await read()
  expect(first.limits.map(({ name }) => name)).toContain('GET /api/public')
  expect(first.totals.denied).toBeGreaterThan(100)
  // Clients keep asking: there is something to watch.
  let last = first
  while (last.totals.admitted === first.totals.admitted) last = await read()
  expect(last.totals.admitted).toBeGreaterThan(first.totals.admitted)
})
