import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { serverForTest } from './server.ts'

it('examples/cluster.mjs: four workers over real HTTP admit exactly the limit', async () => {
  const server = await serverForTest()
  const { code, out, err } = await run('../examples/cluster.mjs', [server.url])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/^admitted: 100, by [234] workers; refused: 300$/m)
})

it('examples/cluster.mjs without arguments prints its usage', async () => {
  const { code, err } = await run('../examples/cluster.mjs', [], { RATELIMIT_STORAGE_URL: '' })
  expect([code, err]).toEqual([2, expect.stringContaining('Usage: node examples/cluster.mjs')])
})
