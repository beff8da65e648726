import type { Writable } from 'node:stream'
import { printable } from '../../validate.ts'
import { Progress } from './progress.ts'
import { type Report, reportOf } from './report.ts'
import { cancel, newRun, type Run, readLogs } from './run.ts'
import { screenOf } from './screen.ts'
import { readSettings, type Settings } from './settings.ts'
import { FORMATS_HELP, REPLAY_USAGE } from './usage.ts'

/** Where a command prints. */
export interface ReplayOutput {
  readonly stdout: Writable
  readonly stderr: Writable
  /** Whether `stderr` is a terminal: progress is shown there alone. */
  readonly isTty: boolean
}

/** Exit codes: a log could not be read; the arguments are wrong; Ctrl-C. */
const FAILED = 1
const MISUSED = 2
const INTERRUPTED = 130

/**
 * `ratethrottle replay`: what limits would have refused of the requests in logs.
 *
 * @param args what stands behind `replay`
 * @returns the exit code
 */
export async function runReplay(args: string[], io: ReplayOutput): Promise<number> {
  let failure: unknown
  const onError = (error: unknown): void => {
    failure = error
  }
  io.stdout.on('error', onError)
  try {
    const code = await replay(args, io)
    // Who reads the output may have seen enough (`| head`): that ends quietly.
    if (failure === undefined || codeOf(failure) === 'EPIPE') return code
    io.stderr.write(`${messageOf(failure)}\n`)
    return FAILED
  } finally {
    // After a failure the listener stays: more writes may fail.
    if (failure === undefined) io.stdout.off('error', onError)
  }
}

async function replay(args: string[], io: ReplayOutput): Promise<number> {
  let run: Run
  try {
    const settings = readSettings(args, Date.now())
    if (settings === undefined) {
      await print(io.stdout, REPLAY_USAGE)
      return 0
    }
    run = newRun(settings)
  } catch (error) {
    io.stderr.write(`${messageOf(error)}\n"ratethrottle replay --help" shows all options\n`)
    return MISUSED
  }
  try {
    await read(run, io)
    return await tell(run, io)
  } catch (error) {
    io.stderr.write(`${messageOf(error)}\n`)
    return FAILED
  } finally {
    cancel(run)
    run.trials.close()
  }
}

/** Reads all logs, or as far as Ctrl-C lets it. */
async function read(run: Run, { stderr, isTty }: ReplayOutput): Promise<void> {
  const progress = isTty ? new Progress(run, stderr) : undefined
  const onInterrupt = (): void => cancel(run)
  process.once('SIGINT', onInterrupt)
  try {
    await readLogs(run, () => progress?.tick())
  } finally {
    process.off('SIGINT', onInterrupt)
    progress?.end()
  }
}

async function tell(run: Run, { stdout, stderr }: ReplayOutput): Promise<number> {
  for (const failure of run.failures) stderr.write(`${ascii(failure)}\n`)
  const report = reportOf(run)
  if (report.requests === 0 && !run.isCancelled) {
    stderr.write(nothingRead(report, run.settings))
    return FAILED
  }
  const isColored = 'isTTY' in stdout && stdout.isTTY === true && !hasNoColor()
  const text = run.settings.isJson ? toJson(report) : screenOf(report, run.settings, isColored)
  await print(stdout, text)
  if (run.isCancelled) return INTERRUPTED
  return run.failures.length > 0 ? FAILED : 0
}

/** https://no-color.org: any value but an empty one. */
function hasNoColor(): boolean {
  const { NO_COLOR = '' } = process.env
  return NO_COLOR !== ''
}

function nothingRead(report: Report, { key }: Settings): string {
  const { lines, leftOut, withoutKey, unreadable } = report
  const why = unreadable.map(
    (flaw) => `  ${flaw.lines} lines: ${flaw.why} (${flaw.first.join(', ')})\n`,
  )
  const others =
    (leftOut > 0
      ? `  ${leftOut} lines were left out by --since, --until, --method or --path-prefix\n`
      : '') + (withoutKey > 0 ? `  ${withoutKey} lines have no key: --key ${printable(key)}\n` : '')
  return `no request could be read from ${lines} lines\n${why.join('')}${others}\n${FORMATS_HELP}`
}

/** Waits until the text is written, or who reads it has gone. */
function print(stdout: Writable, text: string): Promise<void> {
  return new Promise((resolve) => {
    // The error event comes after the callback.
    stdout.write(text, () => setImmediate(resolve))
  })
}

function toJson(report: Report): string {
  return `${JSON.stringify(report, undefined, 2).split('\n').map(ascii).join('\n')}\n`
}

/** Escapes what is not printable ASCII: terminals obey control characters, and some beyond ASCII too. */
function ascii(text: string): string {
  return text.replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function messageOf(error: unknown): string {
  return ascii(error instanceof Error ? error.message : String(error))
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
