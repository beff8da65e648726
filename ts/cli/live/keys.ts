import type { ActionAnswer, Answers } from '../../control/answers.ts'
import type { ControlRequest } from '../../control/client.ts'
import type { KeyState } from '../../control/key-state.ts'
import { readDuration } from '../../limit/parse.ts'
import { type Command, DONE, FAILED, type Given, type Io, Misuse, wordsOf } from '../command.ts'
import { cell, columns, duration, toJson } from '../text.ts'
import { type Answered, askEach, PROCESS_HELP, PROCESS_OPTIONS, processes } from './processes.ts'

const OPTIONS = { ...PROCESS_OPTIONS, limit: { type: 'string' } } as const
const HELP = `  KEY             as the key function returned it: an address, user:42, header:x-api-key:...
                  An IPv6 address also stands for its network, 2001:db8::/64. Write -- before a key that begins with -
  --limit NAME    under this limiter alone. Default: under each
${PROCESS_HELP}`

/** `ratethrottle show`: what each limiter knows of a key. */
export const show: Command = {
  name: 'show',
  forms: ['show KEY'],
  summary: 'Shows what each limiter knows of a key, without a charge.',
  options: OPTIONS,
  help: HELP,
  example: 'npx ratethrottle show 203.0.113.9',
  run: async (given, io) => {
    const [key = ''] = wordsOf(given, 1, 'KEY')
    const answers = await askEach(await processes(given), request(given, { command: 'show', key }))
    const rows = answers.flatMap(({ pid, answer }) =>
      (answer?.limits ?? []).map((state) => stateRow(pid, state)),
    )
    return print(given, io, answers, rows.length > 0, () => columns([STATE_HEAD, ...rows]))
  },
}

/** `ratethrottle block`: denies a key for a time. */
export const block: Command = {
  name: 'block',
  forms: ['block KEY TIME'],
  summary: 'Denies a key for a time, under each limiter; an address also by each shield.',
  options: OPTIONS,
  help: `  TIME            such as 10m, "5 minutes" or 1h
${HELP}`,
  example: 'npx ratethrottle block 203.0.113.9 10m',
  run: async (given, io) => {
    const [key = '', time = ''] = wordsOf(given, 2, given.words.length === 0 ? 'KEY' : 'TIME')
    const ms = readTime(time)
    return act(given, io, { command: 'block', key, ms }, `blocked for ${duration(ms)}`)
  },
}

/** `ratethrottle pardon`: ends blocks. */
export const pardon: Command = {
  name: 'pardon',
  forms: ['pardon KEY'],
  summary:
    'Ends the block of a key, by limiters and shields. What it has used before is forgotten with the block.',
  options: OPTIONS,
  help: HELP,
  example: 'npx ratethrottle pardon 203.0.113.9',
  run: (given, io) => {
    const [key = ''] = wordsOf(given, 1, 'KEY')
    return act(given, io, { command: 'pardon', key }, 'pardoned')
  },
}

/** `ratethrottle reset`: forgets a key. */
export const reset: Command = {
  name: 'reset',
  forms: ['reset KEY'],
  summary: 'Forgets what a key has used, and its block.',
  options: OPTIONS,
  help: HELP,
  example: 'npx ratethrottle reset user:42',
  run: (given, io) => {
    const [key = ''] = wordsOf(given, 1, 'KEY')
    return act(given, io, { command: 'reset', key }, 'reset')
  },
}

function readTime(time: string): number {
  try {
    return readDuration(time, 'TIME')
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

type Act = 'block' | 'pardon' | 'reset'

async function act(
  given: Given,
  io: Io,
  asked: ControlRequest & { readonly command: Act },
  done: string,
): Promise<number> {
  const answers = await askEach(await processes(given), request(given, asked))
  const rows = answers.flatMap(({ pid, answer }) => (answer ? actionRows(pid, answer, done) : []))
  const isDone = rows.some(([, , , what]) => what === done)
  return print(given, io, answers, isDone, () => columns([ACTION_HEAD, ...rows]))
}

function request<Asked extends ControlRequest>(given: Given, asked: Asked): Asked {
  const limit = given.value('limit')
  return limit === undefined ? asked : { ...asked, limit }
}

/** Prints the answers, and on stderr what failed. */
function print<Name extends keyof Answers>(
  given: Given,
  { stdout, stderr }: Io,
  answers: readonly Answered<Answers[Name]>[],
  isDone: boolean,
  text: () => string,
): number {
  for (const { pid, error } of answers) {
    if (error !== undefined) stderr.write(`process ${pid}: ${cell(error, 500)}\n`)
  }
  if (given.has('json')) stdout.write(toJson(answers))
  else if (answers.some(({ answer }) => answer !== undefined)) stdout.write(text())
  return isDone && answers.every(({ error }) => error === undefined) ? DONE : FAILED
}

const STATE_HEAD = ['process', 'limit', 'key', 'remaining', 'recovered in', 'state']
const ACTION_HEAD = ['process', 'limit', 'key', 'what happened']

function stateRow(pid: number, state: KeyState): string[] {
  const { limit, key, error, each } = state
  const place = [`${pid}`, cell(limit), cell(key)]
  if (error !== undefined) return [...place, '-', '-', `not known: ${cell(error)}`]
  const left = each.map(({ remaining, count }) => `${remaining} of ${count}`).join(', ')
  return [...place, left, state.resetMs === 0 ? 'now' : duration(state.resetMs), wordsFor(state)]
}

function wordsFor({ allowed, blocked, retryAfterMs }: KeyState): string {
  if (allowed) return 'admitted'
  const time = `for ${duration(retryAfterMs)}`
  if (blocked === null) return `denied ${time}, by its limit or a block`
  return `${blocked ? 'blocked' : 'denied'} ${time}`
}

function actionRows(pid: number, { limits, shield }: ActionAnswer, done: string): string[][] {
  const rows = limits.map((each) => [
    `${pid}`,
    cell(each.limit),
    cell(each.key),
    each.error === undefined ? (each.done ? done : 'not blocked') : `failed: ${cell(each.error)}`,
  ])
  if (shield === undefined) return rows
  return [...rows, [`${pid}`, '(shields)', '', shield ? done : 'no shield did it']]
}
