import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'

// RATETHROTTLE_WORKERS=10000 for the long form.
const { RATETHROTTLE_WORKERS: workers = byLength('60', '200') } = process.env

it('workers terminated during calls leave the state intact, and their charges count', async () => {
  const { code, out, err } = await run('threads/churn.mjs', [workers, '1'])
  expect({ code, err, left: out.trim() }).toEqual({ code: 0, err: '', left: '0' })
})

it('workers terminated during calls leave no state if only workers loaded the addon', async () => {
  const { code, out, err } = await run('threads/churn.mjs', [workers, '0'])
  // Between two groups of workers no limiter holds the name, so the state starts empty.
  expect({ code, err, left: out.trim() }).toEqual({ code: 0, err: '', left: '1000' })
})
