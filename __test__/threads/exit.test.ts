import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'

it('a process may end in the middle of a decision', async () => {
  expect(await run('fixtures/exit.mjs', ['main'])).toEqual({ code: 7, out: '', err: '' })
})

it('so may a thread, and its share of the limiter is given up', async () => {
  expect(await run('fixtures/exit.mjs', ['worker'])).toEqual({ code: 0, out: '7 4\n', err: '' })
})
