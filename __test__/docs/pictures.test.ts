import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

test('the pictures of the algorithms show the decisions of the limiters', () => {
  const args = ['site/algorithm-pictures.mjs', '--check']
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe('')
})
