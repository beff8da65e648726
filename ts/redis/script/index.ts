import { createHash } from 'node:crypto'
import type { Decision } from '../../decision.ts'
import type { Algorithm } from '../../options.ts'
import { isScriptLost } from '../failure.ts'
import type { RedisConnection } from '../ioredis.ts'
import { FIXED_WINDOW, VARIABLE_FIXED_WINDOW } from './fixed-window.ts'
import { GCRA, VARIABLE_GCRA } from './gcra.ts'
import { HEARTBEAT } from './heartbeat.ts'
import { SLIDING_LOG, VARIABLE_SLIDING_LOG } from './sliding-log.ts'
import { SLIDING_WINDOW, VARIABLE_SLIDING_WINDOW } from './sliding-window.ts'

/** A script, and the digest by which a server that has run it finds it again. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/** What a deciding script is called with. */
export interface ScriptArgs {
  readonly script: Script
  /** Name of the state: the only key that the script touches. */
  readonly name: string
  /**
   * Check, peek, refund, block or delete; the units that a check may charge beyond its cost; or take, paced
   * by a limit or not. `prelude.ts` explains each.
   */
  readonly op: 'c' | 'p' | 'r' | 'b' | 'd' | number | 't' | `q${number}`
  readonly amount: number
  /** The arguments that are the same for each call of a limiter. */
  readonly tail: readonly string[]
  /** The decision that the reply means. Absent where the reply is none. */
  readonly read: ((numbers: readonly number[]) => Decision) | undefined
}

const token = scriptOf(GCRA)
/** The script that decides, for each algorithm. */
export const SCRIPTS: Readonly<Record<Algorithm, Script>> = {
  'token-bucket': token,
  'leaky-bucket': token,
  'sliding-window': scriptOf(SLIDING_WINDOW),
  'sliding-log': scriptOf(SLIDING_LOG),
  'fixed-window': scriptOf(FIXED_WINDOW),
}

const variableToken = scriptOf(VARIABLE_GCRA)
/** The script that decides when limits change from call to call. */
export const VARIABLE_SCRIPTS: Readonly<Record<Algorithm, Script>> = {
  'token-bucket': variableToken,
  'leaky-bucket': variableToken,
  'sliding-window': scriptOf(VARIABLE_SLIDING_WINDOW),
  'sliding-log': scriptOf(VARIABLE_SLIDING_LOG),
  'fixed-window': scriptOf(VARIABLE_FIXED_WINDOW),
}

/** The script that counts processes. */
export const HEARTBEAT_SCRIPT: Script = scriptOf(HEARTBEAT)

/** A script's first argument. A check of one unit, the most frequent call, has only the deadline. */
export function firstArg(op: ScriptArgs['op'], amount: number, deadline: string): string {
  return op === 'c' && amount === 1 ? deadline : `${deadline} ${amount} ${op}`
}

/**
 * The reply of a script: a list of numbers that `remote/backend.ts` reads. The server's time comes last if
 * the script was asked for it; the length is then even.
 *
 * @returns undefined for anything else: a client may be configured to return texts
 */
export function readNumbers(reply: unknown): readonly number[] | undefined {
  if (!Array.isArray(reply) || reply.length < 2) return undefined
  const numbers = typeof reply[0] === 'number' ? (reply as number[]) : reply.map(Number)
  for (let i = 0; i < numbers.length; i++) if (!Number.isSafeInteger(numbers[i])) return undefined
  return numbers
}

/** Whether the script was called after the deadline. It has done nothing then; its time is the second number. */
export function isTooLate(numbers: readonly number[]): boolean {
  return numbers[0] === -2
}

/** Runs a script. A server that does not know it is sent its text. */
export async function runScript(
  connection: RedisConnection,
  { sha, text }: Script,
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await connection.evalsha(sha, ...args)
  } catch (error) {
    if (!isScriptLost(error)) throw error
    return connection.eval(text, ...args)
  }
}

function scriptOf(text: string): Script {
  const trimmed = text.trim()
  return { text: trimmed, sha: createHash('sha1').update(trimmed).digest('hex') }
}
