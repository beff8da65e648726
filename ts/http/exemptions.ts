import type { AddressRanges } from '../client-ip/cidr.ts'
import { type MaybePromise, toPromise, withTimeout } from '../limiter.ts'
import type { LimiterContext } from './adapter.ts'
import type { ResolvedHttpOptions } from './resolve-options.ts'

/** What becomes of a request before its key is known. */
export type Verdict = 'limit' | 'exempt' | 'forbid'

/** Whether a request is exempt. */
export type Skip<Request> = (request: Request) => boolean | PromiseLike<boolean>

/** Whether any option exempts or forbids requests. */
export function hasExemptions<Request, Response>(
  options: Pick<ResolvedHttpOptions<Request, Response>, 'methods' | 'allow' | 'deny' | 'skip'>,
): boolean {
  const { methods, allow, deny, skip } = options
  return [methods, allow, deny, skip].some((option) => option !== undefined)
}

/** By options `deny`, `methods`, `allow` and `skip`, in this order. */
export function judge<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  request: Request,
): MaybePromise<Verdict> {
  const { methods, allow, deny, skip } = context.options
  // The lists hold for the address itself, before IPv6 addresses are grouped by network.
  const isIn = (ranges: AddressRanges): boolean => {
    const address = context.client.client(request)
    return address !== undefined && ranges.has(address)
  }
  if (deny !== undefined && isIn(deny)) return 'forbid'
  if (methods?.has(countedAs(context.adapter.method(request))) === false) return 'exempt'
  if (allow !== undefined && isIn(allow)) return 'exempt'
  return skip === undefined ? 'limit' : askSkip(context, skip, request)
}

/** A `skip` that fails exempts no request. */
function askSkip<Request extends object, Response extends object>(
  { options, events }: LimiterContext<Request, Response>,
  skip: Skip<Request>,
  request: Request,
): MaybePromise<Verdict> {
  const failed = (error: unknown): Verdict => {
    events.failed(request, error)
    return 'limit'
  }
  const verdict = (skipped: boolean): Verdict => (skipped === true ? 'exempt' : 'limit')
  try {
    const skipped = toPromise(skip(request))
    if (!(skipped instanceof Promise)) return verdict(skipped)
    return withTimeout(skipped, options.keyTimeoutMs, 'skip').then(verdict, failed)
  } catch (error) {
    return failed(error)
  }
}

/** HEAD counts as GET. */
export function countedAs(method: string): string {
  return method === 'HEAD' ? 'GET' : method
}
