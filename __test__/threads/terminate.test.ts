import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'

// RATETHROTTLE_WORKERS=10000 for the long form.
const { RATETHROTTLE_WORKERS: workers = '200' } = process.env

it('workers that are terminated in the middle leave nothing broken, and their charges stay', async () => {
  const { code, out, err } = await run('threads/churn.mjs', [workers, '1'])
  expect({ code, err, left: out.trim() }).toEqual({ code: 0, err: '', left: '0' })
})

it('the same when only workers have ever loaded the addon', async () => {
  const { code, out, err } = await run('threads/churn.mjs', [workers, '0'])
  // Between two groups of workers nobody holds the name, so the state starts anew.
  expect({ code, err, left: out.trim() }).toEqual({ code: 0, err: '', left: '1000' })
})
