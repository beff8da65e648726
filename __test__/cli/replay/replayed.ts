import { Writable } from 'node:stream'
import { runReplay } from '../../../dist/cli/replay/index.js'
import type { Report } from '../../../dist/cli/replay/report.js'

/** What a run printed, and its exit code. */
export interface Replayed {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A stream that keeps what is written to it. */
export function keeper(): { readonly stream: Writable; text(): string } {
  const chunks: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return { stream, text: () => chunks.join('') }
}

/** Runs `ratethrottle replay` in this process. */
export async function replayed(args: readonly string[], isTty = false): Promise<Replayed> {
  const out = keeper()
  const err = keeper()
  const io = { stdout: out.stream, stderr: err.stream, isTty }
  const code = await runReplay([...args], io)
  return { code, out: out.text(), err: err.text() }
}

/** The report of a run that must succeed. */
export async function reported(...args: string[]): Promise<Report> {
  const { code, out, err } = await replayed([...args, '--json'])
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
  return JSON.parse(out)
}
