import type { Clock } from './clock.ts'
import { holdBriefly, type LastKey } from './last-key.ts'

/** Charges a cost to a key and says whether it was admitted. */
export type Charge = (key: string, cost?: number) => boolean

/** A native call that objects with `false` or not at all. Without a key it means that of the last one. */
export type NativeCharge = (key?: string, cost?: number, now?: number) => false | undefined

/**
 * Spares reading and hashing a key that is the same as the last one: a burst from one caller is what a
 * limiter sees most of when it matters.
 *
 * @param last shared by the calls that make the native side remember a key: `allow` and `check`
 */
export function again(native: NativeCharge, last: LastKey): Charge {
  return (key, cost) => {
    if (key === last.text && cost === undefined) return native() === undefined
    // A call that throws changes neither side's idea of the last key.
    const objection = cost === undefined ? native(key) : native(key, cost)
    last.text = key
    if (!last.isHeld) holdBriefly(last, key)
    return objection === undefined
  }
}

/** The native call, told what an injected clock shows. */
export function timed(native: NativeCharge, clock: Clock): Charge {
  return (key, cost) => native(key, cost, clock.now()) === undefined
}
