import type { HttpAdapter } from '../http/adapter.ts'
import { ClientResolver } from '../http/client.ts'
import { NODE } from '../http/node.ts'
import { type Judge, RequestAsker } from './requests.ts'
import { settingsOf } from './settings.ts'
import type { ShieldOutcome } from './types.ts'
import type { RequestVerdict } from './verdict.ts'

/*
 * A guard that is asked by hand, without an adapter.
 */

const ASKERS = new WeakMap<object, RequestAsker>()

/** To the core, requests are objects. */
const BY_HAND = NODE as HttpAdapter<never, never> as HttpAdapter

function askerOf(guard: Judge): RequestAsker {
  const known = ASKERS.get(guard)
  if (known !== undefined) return known
  const { settings, warnings } = settingsOf(guard)
  const client = new ClientResolver(BY_HAND, settings.trust, warnings)
  const asker = new RequestAsker(guard, { adapter: BY_HAND, client, warnings, events: undefined })
  ASKERS.set(guard, asker)
  return asker
}

/** What the guard says about a request. One whose client has no address is clear. */
export function inspect(guard: Judge, request: object): RequestVerdict {
  return askerOf(guard).inspect(rawOf(request))
}

/** How a request ended. */
export function tellOutcome(guard: Judge, request: object, outcome: ShieldOutcome): void {
  askerOf(guard).outcome(rawOf(request), outcome)
}

/** The request of node:http that a request of Fastify is about. */
function rawOf(request: object): object {
  const { raw } = request as { readonly raw?: unknown }
  return typeof raw === 'object' && raw !== null ? raw : request
}
