import type { Decision } from '../../decision.ts'
import { createHash } from '../../key-hash.ts'
import { columnsOf, type Limit } from '../../limit/limit.ts'
import { policyArgs } from '../../native/binding.ts'
import { type Algorithm, type ResolvedOptions, shortestOf } from '../../options.ts'
import { reordered, StoreDecision } from '../../remote/backend.ts'
import { isScriptLost } from '../failure.ts'
import type { RedisConnection } from '../ioredis.ts'
import { FIXED_WINDOW } from './fixed-window.ts'
import { GCRA, gcraAdmission } from './gcra.ts'
import { type AlgorithmText, scriptText } from './prelude.ts'
import { SLIDING_LOG } from './sliding-log.ts'
import { SLIDING_WINDOW } from './sliding-window.ts'
import { variableScriptText } from './variable-prelude.ts'

/** A script, and the digest by which a server that has run it finds it again. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/** What a deciding script is called with. */
export interface ScriptArgs<Answer = unknown> {
  readonly script: Script
  /** Name of the state: the only key that the script touches, but for those below. */
  readonly name: string
  /** Further keys that the script touches, in the same slot. Default: none. */
  readonly also?: readonly string[]
  /**
   * Check, peek, refund, block or delete; the units that a check may charge beyond its cost; or take, paced
   * by a limit or not. `prelude.ts` explains each.
   */
  readonly op: 'c' | 'p' | 'r' | 'b' | 'd' | number | 't' | `q${number}`
  readonly amount: number
  /** The arguments that are the same for each call of a limiter. */
  readonly tail: readonly string[]
  /** The decision that the reply means. Absent where the reply is none. Throws if it means nothing. */
  readonly read: ((reply: Reply) => Answer) | undefined
}

/**
 * What a script replies: the list of numbers that `remote/backend.ts` reads, or of the most frequent decision the one
 * number that all of them follow from. If the script was asked for the server's time, that comes last; the length
 * of the list is then even.
 */
export type Reply = number | readonly number[]

/** How the scripts are called for one set of limits. They count with the numbers of the native core: both round alike. */
interface LimitArgs extends Pick<ScriptArgs<Decision>, 'tail' | 'read'> {
  /** Which of the script's limits paces a leaky bucket: the one with the shortest window. */
  readonly paced: `q${number}`
}

/** The states that one kind of limiter keeps in Redis. */
export interface Kind {
  readonly script: Script
  /** Part of every key: tells states apart that cannot be read by one another. */
  readonly policyHash: string
  readonly argsOf: (limits: readonly Limit[]) => LimitArgs
}

const BUCKET = scriptsOf(GCRA)
/** The scripts that decide, for each algorithm. */
const SCRIPTS: Readonly<Record<Algorithm, Record<'fixed' | 'variable', Script>>> = {
  'token-bucket': BUCKET,
  'leaky-bucket': BUCKET,
  'sliding-window': scriptsOf(SLIDING_WINDOW),
  'sliding-log': scriptsOf(SLIDING_LOG),
  'fixed-window': scriptsOf(FIXED_WINDOW),
}

function scriptsOf(algorithm: AlgorithmText): Record<'fixed' | 'variable', Script> {
  const [fixed, variable] = [scriptText(algorithm), variableScriptText(algorithm)]
  return { fixed: scriptOf(fixed), variable: scriptOf(variable) }
}

export function scriptOf(text: string): Script {
  const trimmed = text.trim()
  let sha: string | undefined
  // When it is first asked for: a process uses few of the scripts.
  return {
    text: trimmed,
    get sha() {
      sha ??= createHash('sha1').update(trimmed).digest('hex')
      return sha
    },
  }
}

type Counting = Pick<ResolvedOptions, 'algorithm' | 'blockForMs'>

/** Options of the native core that do not bear on the numbers with which it counts. */
const IRRELEVANT = { blockForMs: 0, capacity: 1 }

/** The states of limits that stay the same. */
export function fixedKind(limits: readonly Limit[], { algorithm, blockForMs }: Counting): Kind {
  const numbers = policyArgs({ ...columnsOf(limits), algorithm, ...IRRELEVANT }, false)
  const [first, second, third, ...further] = numbers.map(String) as [string, string, string]
  const isOne = further.length === 0
  const isPlain = isOne && blockForMs === 0
  const bucket = isOne && SCRIPTS[algorithm] === BUCKET ? numbers : []
  const args: LimitArgs = {
    tail: [first, second, third, ...(isPlain ? [] : [[blockForMs, ...further].join(' ')])],
    paced: `q${shortestOf(limits) + 1}`,
    read: (reply) => new StoreDecision(inFull(reply, bucket), limits),
  }
  const policyHash = hashOf(`${algorithm} ${numbers.join(' ')}`)
  return { script: SCRIPTS[algorithm].fixed, policyHash, argsOf: () => args }
}

/** The states of limits that may change from call to call. The script takes the limit with the longest window first. */
export function variableKind({ algorithm, blockForMs }: Counting): Kind {
  const argsOf = (limits: readonly Limit[]): LimitArgs => {
    const numbers = policyArgs({ ...columnsOf(limits), algorithm, ...IRRELEVANT }, true)
    const size = numbers.length / 6
    const records = Array.from({ length: size }, (_, i) => {
      const [index = 0, ...record] = numbers.slice(6 * i, 6 * i + 6)
      return { index, record: record.join(' '), windowMs: (limits[index] as Limit).windowMs }
    })
    // Of several limits with one window, the one with the lowest count is exceeded first and has the record.
    const places = limits.map(({ windowMs }, i) => {
      const own = records.findIndex(({ index }) => index === i)
      return own < 0 ? records.findIndex((record) => record.windowMs === windowMs) : own
    })
    const order = { size, places, indices: records.map(({ index }) => index) }
    const list = records.map(({ record }) => record).join(',')
    return {
      tail: [list, `${records[0]?.windowMs}`, '0', `${blockForMs}`],
      paced: `q${size}`,
      read: (reply) => new StoreDecision(reordered(inFull(reply, []), order), limits),
    }
  }
  const policyHash = hashOf(`variable ${algorithm}`)
  return { script: SCRIPTS[algorithm].variable, policyHash, argsOf }
}

function hashOf(policy: string): string {
  return createHash('sha256').update(policy).digest('base64url').slice(0, 10)
}

/** The fewest numbers of a decision in full. */
const FEWEST = 5

/** The numbers of a decision. @param bucket the limit, if it is one bucket */
function inFull(reply: Reply, bucket: readonly number[]): readonly number[] {
  if (typeof reply === 'number') return gcraAdmission(reply, bucket)
  return reply.length < FEWEST ? gcraAdmission(reply[0] as number, bucket) : reply
}

/** `ARGV[2…5]`, and what the last of them is where there is no rule in it. */
const [LONGEST_TAIL, NO_RULE] = [4, '0']

type Asked = Pick<ScriptArgs, 'op' | 'amount' | 'tail'>

/** `ARGV[1]`. A check of one unit, the most frequent call, has only the deadline. */
export function firstArg({ op, amount }: Asked, deadline: string): string {
  return op === 'c' && amount === 1 ? deadline : `${deadline} ${amount} ${op}`
}

/** `ARGV[2]` and all after it. */
export function furtherArgs({ op, amount, tail }: Asked): readonly string[] {
  const isFull = tail.length >= LONGEST_TAIL
  return isFull || (op === 'c' && amount === 1) ? tail : [...tail, NO_RULE]
}

/** The same arguments, with the time that the script is to take for the server's. */
export function timedTail(tail: readonly string[], us: number): readonly string[] {
  const rule = tail.length < LONGEST_TAIL ? [NO_RULE] : []
  return [...tail, ...rule, String(us)]
}

/**
 * Checks the reply of a script.
 *
 * @returns undefined for what is none. A client may be configured to return texts
 */
export function readReply(reply: unknown): Reply | undefined {
  if (typeof reply === 'number') return reply
  if (Array.isArray(reply)) return readNumbers(reply)
  return typeof reply === 'string' && reply !== '' ? readNumbers([reply, reply])?.[0] : undefined
}

/** The reply of a script that replies with a list. */
export function readNumbers(reply: unknown): readonly number[] | undefined {
  if (!Array.isArray(reply) || reply.length < 2) return undefined
  const numbers = typeof reply[0] === 'number' ? (reply as number[]) : reply.map(Number)
  for (let i = 0; i < numbers.length; i++) if (!Number.isSafeInteger(numbers[i])) return undefined
  return numbers
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
