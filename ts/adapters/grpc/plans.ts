import type { CallLimiter } from '../../calls/call-limiter.ts'
import type { CallGate } from '../../calls/gate.ts'
import { type MessageOverflow, MethodNames, type ReadLimits } from './options.ts'

/** How the calls of a method are limited. */
export interface Plan {
  /** Permits, then limits. */
  readonly limiters: readonly CallLimiter[]
  readonly messages: CallLimiter | undefined
  readonly overflow: MessageOverflow
}

type Parts = {
  readonly [Part in 'concurrent' | 'limits' | 'messages']: CallLimiter | undefined
} & { readonly overflow: MessageOverflow }

/** The plans of all methods. What a method does not say, it has in common with the others. */
export class Plans {
  readonly #common: Plan
  readonly #methods: MethodNames<Plan>

  /** @param gate opens the counters, and closes them */
  constructor(
    gate: Pick<CallGate<object>, 'open'>,
    common: ReadLimits,
    methods: ReadonlyMap<string, ReadLimits>,
  ) {
    const none = { limits: undefined, concurrent: undefined, messages: undefined }
    const parts = open(gate, common, '', { ...none, overflow: 'end' })
    this.#common = planOf(parts)
    this.#methods = new MethodNames(
      new Map([...methods].map(([name, own]) => [name, planOf(open(gate, own, name, parts))])),
    )
  }

  of(path: string): Plan {
    return this.#methods.get(path) ?? this.#common
  }
}

/**
 * Opens what `own` has, and takes the rest from `others`. Permits and limits are counted apart, so that a method may have
 * its own of one and share the other.
 */
function open(
  gate: Pick<CallGate<object>, 'open'>,
  { limits, concurrent, messages, overflow }: ReadLimits,
  name: string,
  others: Parts,
): Parts {
  return {
    limits: limits === undefined ? others.limits : gate.open({ limits }, name),
    concurrent: concurrent === undefined ? others.concurrent : gate.open({ concurrent }, name),
    messages:
      messages === undefined
        ? others.messages
        : gate.open({ limits: messages }, `${name} messages`.trim()),
    overflow: overflow ?? others.overflow,
  }
}

function planOf({ limits, concurrent, messages, overflow }: Parts): Plan {
  const limiters = [concurrent, limits].filter((one) => one !== undefined)
  return { limiters, messages, overflow }
}
