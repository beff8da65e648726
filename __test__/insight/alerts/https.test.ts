import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { slack } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'
import { CERTIFICATE } from '../../redis/certificate.ts'
import { NOTIFICATION } from './alerts.ts'

const PROGRAM = `
  import { slack } from 'ratethrottle/insight'
  const [url, notification] = process.argv.slice(1)
  const channel = slack(url)
  // A delivery keeps no process alive, also this one.
  const busy = setInterval(() => {}, 1_000)
  await channel.send(JSON.parse(notification))
  clearInterval(busy)
  console.log('delivered')
  // One more, to a path that never answers: it must not keep this process alive.
  channel.send({ ...JSON.parse(notification), rule: 'hang' }).catch(() => {})
  setTimeout(() => console.log(process.getActiveResourcesInfo().join()), 300)
`

it('posts over TLS, and only to a server whose certificate it trusts', async () => {
  const got: string[] = []
  const server = createServer(CERTIFICATE, async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    got.push(JSON.parse(body).text)
    if (!body.includes('hang')) response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const directory = mkdtempSync(join(tmpdir(), 'ratethrottle-alerts-'))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true })
  })
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`
  await expect(slack(url).send(NOTIFICATION)).rejects.toThrow(/^[A-Z_]*SELF_SIGNED[A-Z_]*$/)
  expect(got).toEqual([])

  const NODE_EXTRA_CA_CERTS = join(directory, 'ca.pem')
  writeFileSync(NODE_EXTRA_CA_CERTS, CERTIFICATE.cert)
  const args = ['--input-type=module', '-e', PROGRAM, url, JSON.stringify(NOTIFICATION)]
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, NODE_EXTRA_CA_CERTS },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect(got).toHaveLength(2)
  const [delivered, resources] = out.split('\n')
  expect(delivered).toBe('delivered')
  expect(resources).not.toMatch(/TCP|TLS/)
})
