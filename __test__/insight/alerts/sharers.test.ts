import { fork } from 'node:child_process'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'
import { freshName } from '../../shared/place.ts'

it('processes with one insight see the same, and one of them tells, without a further option', async () => {
  const name = freshName()
  const told: string[] = []
  const fired = [true, false, false].map((isBusy) => {
    const file = join(ROOT, '__test__/insight/alerts/sharer.mjs')
    const child = fork(file, [name, String(isBusy)])
    onTestFinished(() => void child.kill('SIGKILL'))
    return new Promise<void>((resolve) => {
      child.on('message', ([what, value]: [string, string]) => {
        if (what === 'told') told.push(value)
        else if (value === 'fired') resolve()
      })
    })
  })
  await Promise.all(fired)
  expect(told).toEqual(['fired'])
})
