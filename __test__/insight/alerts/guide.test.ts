import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { webhook } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { pageAt } from '../../docs/pages.ts'
import { freePort, untilListening } from '../../redis/server.ts'
import { NOTIFICATION } from './alerts.ts'

it("the guide's receiver takes what is signed, and nothing else", async () => {
  const [program] = pageAt('docs/guides/alerts.md').blocks.filter(({ code }) =>
    code.includes('timingSafeEqual'),
  )
  const PORT = String(await freePort())
  const child = spawn(process.execPath, ['--input-type=module', '-e', program?.code ?? ''], {
    env: { ...process.env, PORT, HOOK_SECRET: 'right' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  await untilListening(Number(PORT))
  const url = `http://127.0.0.1:${PORT}/`
  await webhook(url, { secret: 'right' }).send({ ...NOTIFICATION, rule: 'ein Maß für Ärger 🚨' })
  await expect.poll(() => out).toBe('fired ein Maß für Ärger 🚨 0.5 host-1\n')
  await expect(webhook(url, { secret: 'wrong' }).send(NOTIFICATION)).rejects.toThrow('status 401')
  const body = JSON.stringify(NOTIFICATION)
  const post = async (timestamp: string, signed: string, sent = body) => {
    const signature = createHmac('sha256', 'right').update(signed).digest('hex')
    const headers = {
      'x-ratethrottle-timestamp': timestamp,
      'x-ratethrottle-signature': `sha256=${signature}`,
    }
    return (await fetch(url, { method: 'POST', body: sent, headers })).status
  }
  const now = String(Math.floor(Date.now() / 1_000))
  const old = String(Number(now) - 400)
  expect(await post(now, `${now}.${body}`)).toBe(204)
  expect(await post(old, `${old}.${body}`)).toBe(401)
  expect(await post(now, `${old}.${body}`)).toBe(401)
  expect(await post('NaN', `NaN.${body}`)).toBe(401)
  expect(await post(now, `${now}.${body}`, `${body} `)).toBe(401)
  expect((await fetch(url, { method: 'POST', body })).status).toBe(401)
  expect(await post(now, `${now}.${body}`, 'x'.repeat(100_000))).toBe(413)
})
