import type { Report } from '../../insight/types.ts'
import { type Command, DONE, type Given, type Io, Misuse, messageOf, wordsOf } from '../command.ts'
import { isTerminal, type Style, styleOf, toJson } from '../text.ts'
import { reportOf } from './figures.ts'
import { PROCESS_HELP, PROCESS_OPTIONS } from './processes.ts'
import { section } from './report.ts'
import { keyTable, limitTable } from './tables.ts'

const SECONDS = 10
const KEYS = 10
const EVERY_MS = 2_000
const CLEAR = '\u001b[H\u001b[2J'

/** `ratethrottle top`: what happens now. */
export const top: Command = {
  name: 'top',
  forms: ['top [--watch]'],
  summary: `Shows each limit over the last ${SECONDS} seconds, and the keys that ask and are denied most.`,
  options: {
    ...PROCESS_OPTIONS,
    watch: { type: 'boolean', short: 'w' },
    every: { type: 'string' },
  },
  help: `  -w, --watch     again every 2 seconds, until Ctrl-C. With --json: one line for each
  --every SECONDS with --watch: the time between, from 1 to 3600
                  Keys are shown as option keys of insight() says: by default as a hash. To act on one, you
                  have to know it: show, block and pardon take the key itself
${PROCESS_HELP}`,
  example: 'npx ratethrottle top --watch',
  run: async (given, io) => {
    wordsOf(given, 0, '')
    const everyMs = readEvery(given)
    if (!given.has('watch')) {
      io.stdout.write(given.has('json') ? toJson(await latest(given)) : await screen(given, io))
      return DONE
    }
    return watch(given, io, everyMs)
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
  for (;;) {
    io.stdout.write(await frame(given, io))
    let timer: NodeJS.Timeout | undefined
    const next = new Promise<'next'>((resolve) => {
      timer = setTimeout(resolve, everyMs, 'next')
    })
    if ((await Promise.race([interrupted, next])) === 'end') {
      clearTimeout(timer)
      return DONE
    }
  }
}

async function frame(given: Given, io: Io): Promise<string> {
  try {
    if (given.has('json'))
      return `${toJson(await latest(given))
        .replaceAll(/\n\s*/g, ' ')
        .trim()}\n`
    const text = await screen(given, io)
    return isTerminal(io.stdout) ? `${CLEAR}${text}` : `${text}\n`
  } catch (error) {
    if (error instanceof Misuse) throw error
    return `${messageOf(error)}\n`
  }
}

function latest(given: Given): Promise<Report> {
  return reportOf(given, `${SECONDS}s`)
}

async function screen(given: Given, { stdout }: Io): Promise<string> {
  const style: Style = styleOf(stdout)
  const { limits, top: keys, processes, at, config } = await latest(given)
  const stale = config?.stale ? style.red(', configuration is stale: the last reload failed') : ''
  const parts = [
    `${new Date(at).toISOString().slice(11, 19)} UTC, last ${SECONDS} s, processes: ${processes}${stale}\n`,
    section(style, 'Limits', limitTable(limits, SECONDS)),
    section(style, 'Keys that asked most, since the start', keyTable(keys.asked, KEYS)),
    section(style, 'Keys that were denied most, since the start', keyTable(keys.denied, KEYS)),
  ]
  return parts.filter((part) => part !== '').join('\n')
}
