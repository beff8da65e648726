import type { GraphQLSchema } from 'graphql'
import type { RunningOperation } from './running.ts'
import { isStream } from './yoga.ts'

/*
 * When a subscription of mercurius ends by itself. mercurius has no hook for that, so what its resolver subscribes to
 * is watched: the source of its events ends, fails, or is returned by mercurius, which no longer wants any.
 */

type Subscribe = (root: unknown, args: unknown, context: unknown, info: never) => unknown

/** What has begun, in the context that resolvers get: mercurius copies what hooks have put in theirs. */
const HELD = Symbol('ratethrottle.graphql.subscription')

interface Held {
  isWatched: boolean
  readonly running: RunningOperation[]
}

/** The same, by the context of the hooks. */
const HELD_BY = new WeakMap<object, Held>()

/** Has a subscription ended when it is over. To be called by a hook, for each operation that it admits. */
export function endWithSource(
  schema: GraphQLSchema,
  context: object,
  running: RunningOperation,
): void {
  const known = HELD_BY.get(context)
  if (known !== undefined) known.running.push(running)
  else hold(context, { isWatched: false, running: [running] })
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {})) {
    // Each time: resolvers may be defined again while the server runs.
    if (field.subscribe !== undefined) field.subscribe = watched(field.subscribe) as never
  }
}

/** The context is copied when the subscription begins. If no resolver has been called then, none will be. */
function hold(context: object, held: Held): void {
  const get = (): Held => {
    queueMicrotask(() => held.isWatched || end(held))
    return held
  }
  HELD_BY.set(context, held)
  Object.defineProperty(context, HELD, { enumerable: true, configurable: true, get })
}

function end({ running }: Held): void {
  for (const one of running) void one.end()
}

const WATCHED = new WeakSet<Subscribe>()

function watched(subscribe: Subscribe): Subscribe {
  if (WATCHED.has(subscribe)) return subscribe
  const watching = function (this: unknown, ...given: Parameters<Subscribe>): unknown {
    const held = (given[2] as { [HELD]?: Held } | undefined)?.[HELD]
    if (held === undefined) return subscribe.apply(this, given)
    held.isWatched = true
    const failed = (error: unknown): never => {
      end(held)
      throw error
    }
    try {
      const source = subscribe.apply(this, given)
      if (!(source instanceof Promise)) return untilEnd(source, held)
      return source.then((found) => untilEnd(found, held), failed)
    } catch (error) {
      return failed(error)
    }
  }
  WATCHED.add(watching)
  return watching
}

function untilEnd(source: unknown, held: Held): unknown {
  if (isStream(source)) return { [Symbol.asyncIterator]: () => endingWith(source as never, held) }
  end(held)
  return source
}

function endingWith(source: AsyncIterable<unknown>, held: Held): AsyncIterator<unknown> {
  const iterator = source[Symbol.asyncIterator]()
  const last = (result: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (result.done === true) end(held)
    return result
  }
  const failed = (error: unknown): never => {
    end(held)
    throw error
  }
  return {
    next: () => Promise.resolve(iterator.next()).then(last, failed),
    return: async (value) => {
      end(held)
      return (await iterator.return?.(value)) ?? { value, done: true }
    },
  }
}
