import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SHIELD_OPTIONS } from '../../ts/shield/options.ts'
import { ROOT } from '../fixtures/child.ts'

// docs/concepts/shield.md says the numbers that crate/core/src/shield has: who moves one moves both.

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const page = read('docs/concepts/shield.md')

/** A constant of the core, and the words of the page about it. */
const SAID: readonly (readonly [file: string, name: string, words: (value: number) => string])[] = [
  ['meter', 'ENTER', (share) => `above ${share} of \`maxRate\``],
  ['meter', 'ONSET_SECONDS', (seconds) => `add up to ${seconds} seconds' worth`],
  ['meter', 'LEAVE', (share) => `less than ${share} was asked for`],
  ['meter', 'LEAVE_MS', (ms) => `during ${words(ms / 1_000)} seconds`],
  ['meter', 'TICK_MS', (ms) => `every ${ms} ms`],
  ['meter', 'TARGET', (share) => `more than ${share} of \`maxRate\` is admitted`],
  ['steer', 'MOST', (share) => `less than ${share} of \`maxRate\``],
  ['steer', 'AMPLE', (share) => `more than ${share} of \`maxRate\` is admitted, or`],
  ['config', 'CEILING_SECONDS', (seconds) => `${seconds} seconds' worth`],
  ['judge', 'HABITS', (times) => `${times} times its habit, at most`],
  ['judge', 'MOST_CEILINGS', (count) => `at most ${count} ceilings`],
  ['judge', 'FIRST_REQUESTS', (count) => `the first ${words(count)} requests`],
  ['class', 'KNOWN_MS', (ms) => `${ms / 1_000} seconds and 3 requests before`],
  ['class', 'KNOWN_REQUESTS', (count) => `5 seconds and ${count} requests before`],
  ['class', 'PATIENCE', (times) => `for ${(times * 45) / 60} minutes under it`],
  ['class', 'KEEPS_PLACE_MS', (ms) => `within ${ms / 1_000} seconds after its time`],
  ['class', 'IMPATIENT', (strikes) => `fewer than ${strikes} strikes`],
  ['lot', 'WAIT_MS', (ms) => `wait for ${ms / 1_000} to ${ms / 1_000 + 1} seconds`],
  ['lot', 'LONGEST_WAIT_MS', (ms) => (ms === 60_000 ? 'never told more than a minute' : `${ms}`)],
  ['lot', 'REGULAR_WAIT_MS', (ms) => `503, ${ms / 1_000} s`],
  ['lot', 'EPOCH_MS', (ms) => `${words(ms / 60_000)} minutes in which it comes`],
  ['misconduct', 'PROBATION_SHARE', (share) => `share ${share * 100} % of \`maxRate\``],
  ['misconduct', 'CROWD_SHOW_UP', (share) => (share === 0.25 ? 'more than a quarter' : `${share}`)],
  ['misconduct', 'CROWD_STRIKES', (times) => `it takes ${times * 8} strikes`],
  ['misconduct', 'UNDETERRED', (times) => `its gap is ${times} times the usual one`],
  ['misconduct', 'BUDGET_BURST', (count) => `${words(count)} at once`],
  ['misconduct', 'PATHS_TOLERANCE', (part) => (part === 0.75 ? 'three quarters of' : `${part}`)],
  ['marks', 'FAILURE_WINDOW_MS', (ms) => `windows of ${words(ms / 60_000)} minutes`],
  ['marks', 'FORGIVEN_AFTER_MS', (ms) => `forgiven after ${words(ms / 60_000)} quiet minutes`],
  ['marks', 'PATHS', (bits) => `from ${bits} bits`],
  ['record', 'HABIT_SECONDS', (seconds) => `over ${words(seconds / 60)} minutes`],
  ['evict', 'IDLE_MS', (ms) => `idle for ${words(ms / 60_000)} minutes`],
]

function words(value: number): string {
  const names = ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
  return value === 10 ? 'ten' : (names[value] ?? String(value))
}

function constantOf(file: string, name: string): number {
  const source = read(`crate/core/src/shield/${file}.rs`)
  const [, value = ''] = new RegExp(`const ${name}: \\w+ = ([\\d_.]+);`).exec(source) ?? []
  return Number(value.replaceAll('_', ''))
}

test("the page says the numbers of the shield's core", () => {
  const wrong = SAID.filter(([file, name, said]) => !page.includes(said(constantOf(file, name))))
  const found = wrong.map(([file, name]) => `${file}.rs ${name}: ${constantOf(file, name)}`)
  expect(found).toEqual([])
})

test('the reference explains every option, and every reason', () => {
  const reference = read('docs/reference/shield.md')
  const [, union = ''] = /type Reason = ([^\n]+)/.exec(read('ts/shield/types.ts')) ?? []
  const reasons = union.split(' | ')
  expect(reasons.length).toBe(7)
  const names = [...SHIELD_OPTIONS, ...reasons].map((name) => `\`${name}\``)
  expect(names.filter((name) => !reference.includes(name))).toEqual([])
})

test('the table of the page is that of the newest record', () => {
  const args = ['bench/shield/figures.mjs', '--check']
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe('')
})
