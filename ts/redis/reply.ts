/*
 * A reply, as `script/prelude.ts` makes it, is a list of numbers that `remote/store-decision.ts` reads. A server's
 * time comes last, if it was asked for: then the numbers are even in number.
 */

/** A script that found itself too late says this and its time, and has done nothing. */
const LATE = -2

/**
 * The reply of a script as numbers.
 *
 * @returns undefined for anything but a list of numbers: a client may have been told to hand out texts
 */
export function readNumbers(reply: unknown): readonly number[] | undefined {
  if (!Array.isArray(reply) || reply.length < 2) return undefined
  const numbers = typeof reply[0] === 'number' ? (reply as number[]) : reply.map(Number)
  for (let i = 0; i < numbers.length; i++) if (!Number.isSafeInteger(numbers[i])) return undefined
  return numbers
}

/** The server's time in microseconds, if that is all the script said. */
export function lateness(numbers: readonly number[]): number | undefined {
  return numbers[0] === LATE ? numbers[1] : undefined
}
