import type { Decision } from '../decision.ts'
import type { StoreStatus } from '../limiter.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Key } from './key-functions.ts'

/** What every adapter's limiter offers beside limiting requests. */
export interface Controls {
  /**
   * Forgets a key, its block included.
   *
   * @param key what the key function returns for the caller, a number included: by default the address
   * (an IPv6 address by network, `2001:db8::/64`); docs/reference/options.md lists the forms
   * @throws TypeError with the code INVALID_ARGUMENT for what is no key
   */
  reset(key: Key): MaybePromise<void>
  /**
   * How the key stands now. Changes nothing. Takes a key, and throws, as `reset` does.
   *
   * @throws TypeError with the code LIMITS_DEPEND_ON_REQUEST where the limits come from a function
   */
  peek(key: Key): MaybePromise<Decision>
  /**
   * Waits for the first connection to the store, and says whether the store can be asked. Never rejects.
   * Counters in this process are always available.
   */
  ready(): Promise<StoreStatus>
  /** Lets go of the counters. Requests after that are answered 500. */
  close(): void
}

/** The controls of what has several limits: `reset` and `peek` ask the first, the others all of them. */
export function controlsOf(own: Controls | undefined, others: Iterable<Controls> = []): Controls {
  const all = (): Controls[] => (own === undefined ? [...others] : [own, ...others])
  return {
    reset: (key) => limited(own).reset(key),
    peek: (key) => limited(own).peek(key),
    ready: async () => {
      const states = await Promise.all(all().map((one) => one.ready()))
      return states.find(({ available }) => !available) ?? AVAILABLE
    },
    close: () => {
      for (const one of all()) one.close()
    },
  }
}

/** What a store says that needs no connection. */
export const AVAILABLE: StoreStatus = { available: true, reason: undefined }

function limited(own: Controls | undefined): Controls {
  if (own === undefined) throw noLimits()
  return own
}

/** Why a limiter that only makes others can't do what needs limits. */
export function noLimits(): TypeError {
  return Object.assign(new TypeError(NO_LIMITS), { code: 'NO_LIMITS' })
}

const NO_LIMITS =
  "rateThrottle was given no limits, so it can't be a middleware and counts no key: only its limit(...) makes some"
