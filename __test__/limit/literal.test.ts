import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { hostileText, randomFrom, SEED, validSample } from './generate.ts'
import { referenceParse } from './reference.ts'
import { MISTAKES } from './texts.ts'

const folder = mkdtempSync(join(tmpdir(), 'limit-literal-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The errors of the compiler for `lines`, which may call `take(limits)`. */
function compile(lines: readonly string[]): string {
  const limit = JSON.stringify(resolve('ts/limit/limit.ts'))
  const source = [
    `import type { CheckedLimits, LimitInput } from ${limit}`,
    'declare function take<const L extends LimitInput>(limits: CheckedLimits<L>): void',
    ...lines,
  ]
  const file = join(folder, 'generated.ts')
  writeFileSync(file, source.join('\n'))
  const flags = [
    '--noEmit',
    '--strict',
    '--allowImportingTsExtensions',
    '--types',
    '',
    '--ignoreConfig',
  ]
  const tsc = resolve('node_modules/typescript/bin/tsc')
  const options = [
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,es2024.string',
    ...flags,
  ]
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, ...options, file], {
    encoding: 'utf8',
  })
  return stdout + stderr
}

function take(text: string): string {
  return `take(${JSON.stringify(text)})`
}

it(`compiles 1,000 generated texts that the parser accepts (SEED=${SEED})`, {
  timeout: 60_000,
}, () => {
  const random = randomFrom(SEED)
  const valid = Array.from({ length: 700 }, () => validSample(random).text)
  const injured: string[] = []
  while (injured.length < 300) {
    const text = hostileText(random)
    if (referenceParse(text)) injured.push(text)
  }
  console.log(`literal types: SEED=${SEED}`)
  expect(compile([...valid, ...injured].map(take))).toBe('')
})

it('compiles the longest texts that the parser accepts', { timeout: 60_000 }, () => {
  const texts = [' ', '\t', ' \t'].flatMap((piece) => {
    const blanks = piece.repeat(1021).slice(0, 1021)
    return [`${blanks}5/s`, `5${blanks}/s`, `5/${blanks}s`, `5/s${blanks}`]
  })
  const list = Array.from({ length: 16 }, () => `${' '.repeat(57)}1/2 s`).join(',')
  expect([...texts, list].every((text) => referenceParse(text) !== undefined)).toBe(true)
  expect(compile([...texts, list].map(take))).toBe('')
})

it('refuses each plain mistake, alone and within a list or an array', { timeout: 60_000 }, () => {
  const calls = MISTAKES.flatMap((text) => [
    take(text),
    take(`5/s;${text}`),
    take(`${text}|5/s`),
    `take(['5/s', ${JSON.stringify(text)}])`,
  ])
  expect(compile(calls.flatMap((call) => ['// @ts-expect-error', call]))).toBe('')
})

it('names the invalid text in the message', { timeout: 60_000 }, () => {
  const message = compile([take('10/s; 10/fortnight')])
  expect(message).toContain('"not a limit: 10/fortnight (a limit is such as 100/minute)"')
})
