import * as validate from '../validate.ts'

/*
 * Options that would do nothing: a program that gives one believes in a limit that it does not have.
 */

type Given = Readonly<Record<string, unknown>>

/** Say more about limits, and no route takes them over from a limiter that has none. */
const OF_OWN_LIMITS = ['burst', 'policy']
/** Say more about limits. */
const OF_LIMITS = [
  ...OF_OWN_LIMITS,
  ...['blockFor', 'cost', 'slowDown', 'algorithm', 'countWhen', 'outcomeTimeoutMs'],
]

/**
 * For options that routes take over: what they say of limits can be meant for the routes' own.
 *
 * @throws TypeError for an option that would do nothing
 */
export function refuseIdleForAll(given: object): void {
  refuseUnless(given, given, OF_OWN_LIMITS)
}

/**
 * For options that are about one place, such as a route.
 *
 * @param given options as they stand there
 * @param all the same, with those that they take over
 * @throws TypeError for an option that would do nothing
 */
export function refuseIdle(given: object, all: object): void {
  const { concurrent } = all as Given
  const isPermitsAlone = concurrent !== undefined && concurrent !== false
  refuseUnless(given, all, isPermitsAlone ? OF_LIMITS : OF_OWN_LIMITS)
}

function refuseUnless(given: object, all: object, ofLimits: readonly string[]): void {
  const { limits, config, countWhen } = all as Given
  if (config !== undefined) return
  if (limits === undefined) refuseWithout('limits', ofLimits, given)
  else if (countWhen === undefined) refuseWithout('countWhen', ['outcomeTimeoutMs'], given)
}

/** @throws TypeError if `given` has one of the options: they need `others`, which are not there */
export function refuseWithout(others: string, options: readonly string[], given: object): void {
  const has = (name: string): boolean => Object.hasOwn(given, name)
  const idle = options.find((name) => has(name) && (given as Given)[name] !== undefined)
  if (idle === undefined) return
  const accepted = `given together with ${others}, or left out`
  throw validate.invalid(TypeError, 'INVALID_OPTION', idle, accepted, (given as Given)[idle])
}
