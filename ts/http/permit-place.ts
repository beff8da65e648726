import type { ConcurrentInput, PermitsPlace } from '../permits/open.ts'
import { isLimiter, isRemote } from '../storage-url.ts'
import type { ResolvedHttpOptions } from './options.ts'

/** Where the permits are counted: beside the limits. */
export function placeOf(
  { limiter, storage, forRedis }: ResolvedHttpOptions,
  { perKey, total }: Exclude<ConcurrentInput, number>,
  identity: string,
): PermitsPlace {
  const { name, capacity, maxWaiters } = limiter
  const { keyPrefix } = forRedis
  const tier = isLimiter(storage) ? (storage as { readonly storage?: unknown }).storage : storage
  // Other numbers have other permits, as other limits have other counters.
  const figures = isRemote(tier) ? '' : ` ${perKey ?? ''}/${total ?? ''} ${capacity ?? ''}`
  return {
    storage: tier,
    name: name && name + figures,
    identity: identity + figures,
    keyPrefix,
    capacity,
    maxWaiters,
    forRedis,
  }
}
