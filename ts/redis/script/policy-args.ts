import { createHash } from 'node:crypto'
import { burstOf, type Limit } from '../../limit/limit.ts'
import { policyArgs } from '../../native/binding.ts'
import { type Algorithm, shortestOf } from '../../options.ts'
import type { Order } from '../../remote/backend.ts'

/*
 * The arguments that tell a script which limits count. The scripts count with the numbers of the native core, so
 * that both round alike.
 */

/** The arguments of a script for some limits. */
export interface PolicyArgs {
  readonly tail: readonly string[]
  /** Which of the script's limits paces a leaky bucket: the one with the shortest window. */
  readonly paced: `q${number}`
}

/** The arguments for limits that stay the same, and the hash that stands for the policy in each key. */
export function fixedArgs(
  limits: readonly Limit[],
  algorithm: Algorithm,
  blockForMs: number,
): PolicyArgs & { readonly policyHash: string } {
  const numbers = numbersOf(limits, algorithm, false)
  const [first, second, third, ...further] = numbers.map(String) as [string, string, string]
  return {
    tail: [first, second, third, [blockForMs, ...further].join(' ')],
    paced: `q${shortestOf(limits) + 1}`,
    policyHash: hashOf(`${algorithm} ${numbers.join(' ')}`),
  }
}

/** Stands in each key for the policy, where limits change. */
export function variablePolicyHash(algorithm: Algorithm): string {
  return hashOf(`variable ${algorithm}`)
}

/** The arguments for limits that change, and the script's order of them: from the longest window to the shortest. */
export function variableArgs(
  limits: readonly Limit[],
  algorithm: Algorithm,
  blockForMs: number,
): PolicyArgs & Order {
  const numbers = numbersOf(limits, algorithm, true)
  const records = Array.from({ length: numbers.length / 6 }, (_, i) => {
    const [index = 0, ...record] = numbers.slice(6 * i, 6 * i + 6)
    return { index, record: record.join(' '), windowMs: (limits[index] as Limit).windowMs }
  })
  // Of several limits with one window, the one with the lowest count is exceeded first and has the record.
  const places = limits.map(({ windowMs }, i) => {
    const own = records.findIndex(({ index }) => index === i)
    return own < 0 ? records.findIndex((record) => record.windowMs === windowMs) : own
  })
  return {
    tail: [
      records.map(({ record }) => record).join(','),
      `${records[0]?.windowMs}`,
      '0',
      `${blockForMs}`,
    ],
    paced: `q${records.length}`,
    size: records.length,
    places,
    indices: records.map(({ index }) => index),
  }
}

function numbersOf(
  limits: readonly Limit[],
  algorithm: Algorithm,
  varies: boolean,
): readonly number[] {
  const counts = limits.map((limit) => limit.count)
  const windowsMs = limits.map((limit) => limit.windowMs)
  const bursts = limits.map(burstOf)
  const options = { counts, windowsMs, bursts, algorithm, blockForMs: 0, capacity: 1 }
  return policyArgs(options, varies)
}

function hashOf(policy: string): string {
  return createHash('sha256').update(policy).digest('base64url').slice(0, 10)
}
