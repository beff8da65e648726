import type { StoreStatus } from '../../limiter.ts'
import { requirePeer } from '../../peers.ts'
import { type ApolloHooks, apolloHooks } from './apollo.ts'
import { type MercuriusPlugin, mercuriusPlugin } from './mercurius.ts'
import { OperationLimiter } from './operation-limiter.ts'
import type { PluginOptions } from './plugin-options.ts'
import { type EnvelopHooks, envelopHooks, type MakeError } from './yoga.ts'

/** Limits for a GraphQL server: a plugin of Yoga, of Envelop and of Apollo Server, with one of mercurius. */
export interface GraphQLPlugin extends EnvelopHooks, ApolloHooks {
  /** For Fastify, after mercurius: `app.register(limits.mercurius)`. */
  readonly mercurius: MercuriusPlugin
  /** Forgets what a key has used. The key is what option `key` returns; by default the address. */
  reset(key: string): Promise<void>
  /** Waits for the first connection to the store, and says whether it can be asked. Never rejects. */
  ready(): Promise<StoreStatus>
  /** Frees the counters. Later operations are refused. Apollo and Fastify call it when they are closed. */
  close(): void
}

/**
 * Limits the operations of a GraphQL server by what they cost.
 *
 * ```ts
 * createYoga({ schema, plugins: [plugin({ limits: '1000/minute', maxCost: 500, refund: 'actual' })] })
 * ```
 *
 * A refused operation reaches no resolver: its error has the code RATE_LIMITED and says when to come back.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted; Error with code
 * MISSING_PEER if the package graphql is not installed
 */
export function plugin(options: PluginOptions): GraphQLPlugin {
  const { GraphQLError } = requirePeer<typeof import('graphql')>(
    'graphql',
    'ratethrottle/graphql',
    () => require('graphql'),
  )
  const makeError: MakeError = ({ message, extensions }, http) =>
    new GraphQLError(message, { extensions: { ...extensions, http } })
  const limiter = new OperationLimiter(options)
  return {
    ...envelopHooks(limiter, makeError),
    ...apolloHooks(limiter, makeError),
    mercurius: mercuriusPlugin(limiter),
    reset: (key) => limiter.reset(key),
    ready: () => limiter.ready(),
    close: () => limiter.close(),
  }
}
