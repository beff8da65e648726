import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { INestApplication } from '@nestjs/common'
import { expect, it } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'
import { statuses } from './apps.ts'

/** Compiled with the project: vitest's transformer does not know Nest's decorators. */
const { buildService } = createRequire(join(ROOT, 'package.json'))('./examples/dist/nest.js') as {
  buildService(options?: object): Promise<INestApplication>
}

it('the example limits each of its endpoints for each client', async () => {
  const app = await buildService()
  await app.listen(0, '127.0.0.1')
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/api`
  const ask = async (path: string, count: number, init: RequestInit): Promise<number> =>
    (await statuses(url + path, count, init)).filter((status) => status === 200).length
  const post = { method: 'POST' }
  expect(await ask('/public', 130, {})).toBe(100)
  expect(await ask('/public', 60, { headers: { 'x-user': 'ada' } })).toBe(60)
  expect(await ask('/report', 15, post)).toBe(10)
  expect(await ask('/report', 15, { ...post, headers: { 'x-user': 'stranger' } })).toBe(0)
  const refused = await fetch(`${url}/report`, post)
  expect(await refused.json()).toEqual({ error: 'Rate limit exceeded', retry_after: 60 })
  await app.close()
})
