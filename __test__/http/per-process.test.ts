import { expect, test } from 'vitest'
import { run } from '../fixtures/child.ts'

/** One of several processes that PM2 or node:cluster starts makes limiters with these options. */
async function codesOf(storage: string | undefined, env: object): Promise<string[]> {
  const { code, out } = await run(
    'http/one-of-several.mjs',
    storage === undefined ? [] : [storage],
    env,
  )
  expect(code).toBe(0)
  return JSON.parse(out)
}

test.each([
  [undefined, { NODE_APP_INSTANCE: '1' }, ['RATETHROTTLE_PER_PROCESS']],
  ['memory:', { NODE_APP_INSTANCE: '3' }, ['RATETHROTTLE_PER_PROCESS']],
  [undefined, { NODE_UNIQUE_ID: '1' }, ['RATETHROTTLE_PER_PROCESS']],
  [undefined, { NODE_APP_INSTANCE: '0' }, []],
  [undefined, {}, []],
  ['shared:one-of-several', { NODE_APP_INSTANCE: '1' }, []],
])('with storage %s and %o the warnings are %o', async (storage, env, expected) => {
  expect(await codesOf(storage, env)).toEqual(expected)
})
