import { burstOf, type Limit } from '../../limit/limit.ts'
import type { Finding } from './finding.ts'
import type { LimiterSetup, Options } from './setup.ts'

/*
 * Limits that would never refuse, or that need more memory than they are worth. Only from what is written: no
 * traffic is looked at.
 */

/** More than one process of Node serves in a second, and far more than one client sends. */
const MOST_PER_SECOND = 50_000
/** More than one client sends, unless it is a whole service: then the limit is meant for a key of many. */
const MOST_OF_A_CLIENT = 5_000
/** A bucket of more than this many windows is no longer a burst. */
const MOST_WINDOWS = 10
const LARGE_LOG = 10_000
const LOG_BYTES = 16
const DEFAULT_CAPACITY = 100_000
const SMALL_CAPACITY = 1_000

/** What is wrong with the figures of a limiter. */
export function limitFindings(limiter: LimiterSetup): Finding[] {
  const { limits } = limiter
  return [
    ...limits.flatMap((limit) => unreachable(limiter, limit)),
    ...bursts(limiter),
    ...useless(limiter),
    ...memory(limiter),
  ]
}

function unreachable({ where }: LimiterSetup, { count, windowMs }: Limit): Finding[] {
  const rate = (count * 1_000) / windowMs
  if (rate <= MOST_OF_A_CLIENT) return []
  const isBeyondAll = rate > MOST_PER_SECOND
  return [
    {
      code: 'never-refuses',
      severity: isBeyondAll ? 'problem' : 'warning',
      where,
      what: `${count} in ${inWords(windowMs)} is ${Math.round(rate)} a second`,
      why: isBeyondAll
        ? 'A process of Node serves fewer requests than that from all clients together, so this limit never refuses one.'
        : 'A single client hardly sends that much, so this limit never refuses one. Right only for a key that many share.',
      instead:
        "a count that a client can reach: npx ratethrottle replay access.log --limits '100/minute' shows whom it would refuse",
    },
  ]
}

function bursts(limiter: LimiterSetup): Finding[] {
  const { where, limits, options } = limiter
  const shortest = Math.min(...limits.map(({ windowMs }) => windowMs))
  return limits.flatMap((limit) => {
    const { burst } = options
    const ofOption = limit.windowMs === shortest && typeof burst === 'number' ? burst : undefined
    const held = ofOption ?? burstOf(limit)
    if (held <= MOST_WINDOWS * limit.count) return []
    return [
      {
        code: 'huge-burst',
        severity: 'problem',
        where,
        what: `a burst of ${held} on a limit of ${limit.count} in ${inWords(limit.windowMs)}`,
        why: `Each new key may send ${held} requests at once, and every key is new once: a client that changes its address is not limited.`,
        instead: `a burst of the count, ${limit.count}, or below: leave burst out`,
      },
    ]
  })
}

/** A limit that another of the same limiter denies before, always. */
function useless({ where, limits, options }: LimiterSetup): Finding[] {
  return limits.flatMap((limit, i) => {
    const other = limits.find((each, j) => j !== i && isShadowed(limit, i, each, j, options))
    if (other === undefined) return []
    return [
      {
        code: 'shadowed-limit',
        severity: 'warning',
        where,
        what: `${shown(limit)} never decides beside ${shown(other)}`,
        why: 'The other limit refuses first, always. Either of the two figures is not what was meant.',
        instead: `${shown(other)} alone, or a stricter figure for ${shown(limit)}`,
      },
    ]
  })
}

function isShadowed(limit: Limit, i: number, other: Limit, j: number, options: Options): boolean {
  if (limit.count === other.count && limit.windowMs === other.windowMs) return i > j
  // No more in a longer time.
  if (other.windowMs >= limit.windowMs) return other.count <= limit.count
  // The shorter window lets less through in the longer time, with all that it may hold at its begin.
  const windows = limit.windowMs / other.windowMs
  const { burst } = options
  const held = typeof burst === 'number' ? Math.max(burst, other.count) : burstOf(other)
  return other.count * Math.ceil(windows) + held <= limit.count
}

function memory({ where, limits, options }: LimiterSetup): Finding[] {
  const found: Finding[] = []
  const { algorithm, capacity } = options
  const isLog = algorithm === 'sliding-log' || algorithm === 'sliding_log'
  const largest = Math.max(0, ...limits.map(({ count }) => count))
  const keys = typeof capacity === 'number' ? capacity : DEFAULT_CAPACITY
  if (isLog && largest >= LARGE_LOG) {
    const megabytes = Math.round((largest * LOG_BYTES * keys) / 2 ** 20)
    found.push({
      code: 'huge-log',
      severity: 'warning',
      where,
      what: `a sliding-log of ${largest} units`,
      why: `It keeps ${LOG_BYTES} bytes for each unit and key: ${megabytes} MB for ${keys} keys. With less, keys are forgotten, and forgotten keys begin again with nothing used.`,
      instead: 'algorithm: sliding-window, which needs 32 bytes a key and is off by little',
    })
  }
  if (typeof capacity === 'number' && capacity < SMALL_CAPACITY) {
    found.push({
      code: 'small-capacity',
      severity: 'warning',
      where,
      what: `a capacity of ${capacity} keys`,
      why: 'When more keys are live, those that have used least are forgotten, and begin again with nothing used.',
      instead: `the number of clients in the longest window, or nothing: the default is ${DEFAULT_CAPACITY}`,
    })
  }
  return found
}

function shown({ count, windowMs }: Limit): string {
  return `${count} in ${inWords(windowMs)}`
}

const UNITS = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
] as const

/** A window, as a limit string has it. */
export function inWords(windowMs: number): string {
  const unit = UNITS.find(([ms]) => windowMs % ms === 0)
  if (unit === undefined) return `${windowMs} ms`
  const [ms, name] = unit
  return windowMs === ms ? `a ${name}` : `${windowMs / ms} ${name}s`
}
