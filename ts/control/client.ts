import { connect } from 'node:net'
import { printable, withCode } from '../validate.ts'
import type { Answers, Command } from './answers.ts'
import { codeOf, flawOfSocket, usesPipes } from './directory.ts'
import { Lines, MAX_ANSWER } from './lines.ts'

/** A request, as its line of JSON says it. */
export interface ControlRequest {
  readonly command: Command
  readonly key?: string | undefined
  readonly limit?: string | undefined
  readonly ms?: number | undefined
  readonly since?: string | undefined
  readonly unit?: 'second' | 'minute' | 'hour' | undefined
  readonly steps?: number | undefined
}

const TRIES = 10
const PAUSE_MS = 50

interface Reply {
  readonly ok?: unknown
  readonly result?: unknown
  readonly error?: { readonly code?: unknown; readonly message?: unknown }
}

/**
 * Asks the process at a control socket.
 *
 * @throws Error with code CONTROL_GONE if no process listens, else with what the process says
 */
export async function ask<Name extends Command>(
  path: string,
  request: ControlRequest & { readonly command: Name },
  timeoutMs = 10_000,
): Promise<Answers[Name]> {
  const flaw = usesPipes ? undefined : flawOfSocket(path)
  if (flaw !== undefined) throw gone(path, flaw)
  const line = await patiently(() => exchange(path, `${JSON.stringify(request)}\n`, timeoutMs))
  const { ok, result, error } = JSON.parse(line) as Reply
  if (ok === true) return result as Answers[Name]
  const { code = 'CONTROL_FAILED', message = 'it answered with an error' } = error ?? {}
  throw Object.assign(new Error(String(message)), { code: String(code) })
}

/** Again, where too many clients came at once for the system to take another. */
async function patiently(call: () => Promise<string>): Promise<string> {
  for (let left = TRIES; ; left--) {
    try {
      return await call()
    } catch (error) {
      const { cause } = error as { readonly cause?: unknown }
      if (cause !== 'EAGAIN' || left === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
}

function exchange(path: string, line: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = new Lines(MAX_ANSWER)
    const socket = connect(path)
    const end = (error: Error): void => {
      socket.destroy()
      clearTimeout(late)
      reject(error)
    }
    const late = setTimeout(() => end(gone(path, `no answer in ${timeoutMs} ms`)), timeoutMs)
    socket.on('error', (error) => end(gone(path, codeOf(error))))
    socket.on('close', () => end(gone(path, 'it closed without an answer')))
    socket.on('data', (chunk: Buffer) => {
      const complete = lines.take(chunk)
      if (complete === undefined) end(gone(path, 'its answer is too long'))
      const [first] = complete ?? []
      if (first === undefined) return
      resolve(first)
      clearTimeout(late)
      socket.destroy()
    })
    socket.write(line)
  })
}

function gone(path: string, reason: string): Error {
  const message = `no process answers at ${printable(path)}: ${reason}`
  return withCode(new Error(message, { cause: reason }), 'CONTROL_GONE')
}
