import type { Report, TopKey } from '../../insight/types.ts'
import { type Command, DONE, type Given, type Io, Misuse, messageOf, wordsOf } from '../command.ts'
import { columns, isTerminal, type Style, styleOf, toJson } from '../text.ts'
import { type Reading, readingOf, sumOfReading } from './figures.ts'
import { PROCESS_HELP, PROCESS_OPTIONS } from './processes.ts'
import { type Recent, recentOf } from './recent.ts'
import { section } from './report.ts'
import { limitTable, recentTable } from './tables.ts'

const SECONDS = 10
const KEYS = 10
const EVERY_MS = 2_000
const CLEAR = '\u001b[H\u001b[2J'

/** `ratethrottle top`: what happens now. */
export const top: Command = {
  name: 'top',
  forms: ['top [--watch]'],
  summary: `Shows each limit of this host over the last ${SECONDS} seconds, and the keys that ask and are denied most now.`,
  options: {
    ...PROCESS_OPTIONS,
    watch: { type: 'boolean', short: 'w' },
    every: { type: 'string' },
  },
  help: `  -w, --watch     again every 2 seconds, until Ctrl-C. With --json: one line for each
  --every SECONDS with --watch: the time between, from 1 to 3600
                  Of keys it takes two readings, ${EVERY_MS / 1_000} seconds apart; with --watch, since the one before. What came
                  in between is shown first, and is the least that is certain: a key that the tables did not
                  have before counts from when it came in. Beside it is all since the start
                  Keys are shown as option keys of insight() says: by default as a hash. To act on one, you
                  have to know it: show, block and pardon take the key itself
${PROCESS_HELP}`,
  example: 'npx ratethrottle top --watch',
  run: async (given, io) => {
    wordsOf(given, 0, '')
    const everyMs = readEvery(given)
    if (given.has('watch')) return watch(given, io, everyMs)
    const earlier = await read(given)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    const later = await read(given)
    io.stdout.write(given.has('json') ? toJson(asJson(later, earlier)) : screen(later, earlier, io))
    return DONE
  },
}

function readEvery(given: Given): number {
  const seconds = given.value('every')
  if (seconds === undefined) return EVERY_MS
  if (/^\d{1,4}$/.test(seconds) && Number(seconds) >= 1 && Number(seconds) <= 3_600) {
    return Number(seconds) * 1_000
  }
  throw new Misuse('--every must be a number of seconds from 1 to 3600')
}

/** Prints until Ctrl-C, or until who reads it has gone. Processes that come and go are no failure. */
async function watch(given: Given, io: Io, everyMs: number): Promise<number> {
  const interrupted = new Promise<'end'>((resolve) => process.once('SIGINT', () => resolve('end')))
  let earlier = await tryToRead(given)
  for (let pause = Math.min(EVERY_MS, everyMs); ; pause = everyMs) {
    let timer: NodeJS.Timeout | undefined
    const next = new Promise<'next'>((resolve) => {
      timer = setTimeout(resolve, pause, 'next')
    })
    if ((await Promise.race([interrupted, next])) === 'end') {
      clearTimeout(timer)
      return DONE
    }
    const later = await tryToRead(given)
    io.stdout.write(typeof later === 'string' ? later : frame(later, earlier, given, io))
    earlier = later
  }
}

/** A reading, or why there is none. */
async function tryToRead(given: Given): Promise<Reading | string> {
  try {
    return await read(given)
  } catch (error) {
    if (error instanceof Misuse) throw error
    return `${messageOf(error)}\n`
  }
}

function frame(later: Reading, before: Reading | string, given: Given, io: Io): string {
  const earlier = typeof before === 'string' ? undefined : before
  if (given.has('json')) {
    const text = toJson(asJson(later, earlier))
    return `${text.replaceAll(/\n\s*/g, ' ').trim()}\n`
  }
  const text = screen(later, earlier, io)
  return isTerminal(io.stdout) ? `${CLEAR}${text}` : `${text}\n`
}

/** Rates are of the last seconds: a shorter time than between two frames would leave requests out. */
function read(given: Given): Promise<Reading> {
  return readingOf(given, `${SECONDS}s`)
}

function asJson(later: Reading, earlier: Reading | undefined): Report & { recent: Recent | null } {
  return { ...sumOfReading(later), recent: recentOf(earlier, later) }
}

function screen(later: Reading, earlier: Reading | undefined, { stdout }: Io): string {
  const style: Style = styleOf(stdout)
  const { limits, top: keys, processes, at, config, recent } = asJson(later, earlier)
  const stale = config?.stale ? style.red(', configuration is stale: the last reload failed') : ''
  const parts = [
    `${new Date(at).toISOString().slice(11, 19)} UTC, last ${SECONDS} s, this host, processes: ${processes}${stale}\n`,
    section(style, 'Limits', limitTable(limits, SECONDS)),
    keysNow(style, 'denied', keys.denied, recent),
    keysNow(style, 'asked', keys.asked, recent),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

const KEYS_THAT = { denied: 'Keys that were denied most', asked: 'Keys that asked most' } as const
const NO_KEY = { denied: 'No key was denied', asked: 'No key asked' } as const

/** The keys of a table, those that came most between the readings first. */
function keysNow(
  style: Style,
  table: 'asked' | 'denied',
  keys: readonly TopKey[],
  recent: Recent | null,
): string {
  if (recent === null) {
    const text = 'What came lately is shown with the next reading of the same processes.\n'
    return `${style.bold(KEYS_THAT[table])}\n${text}${columns(recentTable(keys, [], '-', KEYS))}`
  }
  const lately = `in the last ${Math.max(1, Math.round(recent.ms / 1_000))} s`
  const some = recent[table]
  const sentence = some.length === 0 ? `${NO_KEY[table]} ${lately}.\n` : ''
  const rows = recentTable(keys, some, lately, KEYS)
  const known = rows.length < 2 ? '' : columns(rows)
  return `${style.bold(`${KEYS_THAT[table]} ${lately}`)}\n${sentence}${known}`
}
