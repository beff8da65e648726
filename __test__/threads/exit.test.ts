import { expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'

it('a process may end while its threads decide', async () => {
  expect(await run('fixtures/exit.mjs', ['main'])).toEqual({ code: 7, out: '', err: '' })
})

it('a thread may end while it decides, and its reference to the limiter is released', async () => {
  expect(await run('fixtures/exit.mjs', ['worker'])).toEqual({ code: 0, out: '7 4\n', err: '' })
})
