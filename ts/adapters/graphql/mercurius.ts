import type { DocumentNode, GraphQLSchema } from 'graphql'
import type { ActualResult } from './cost.ts'
import { exchangeOf, wantsStatus } from './exchange.ts'
import type { Asked, OperationLimiter } from './operation-limiter.ts'
import type { OperationRefusal } from './refusals.ts'
import { RunningOperation } from './running.ts'
import { endWithSource } from './subscription-ends.ts'
import { httpOf } from './yoga.ts'

/*
 * Hooks of mercurius, as a plugin of Fastify. Their types are spelt out: a program with Apollo has none of mercurius.
 */

/** What mercurius gives its hooks. The operations of a batch have one each, below a common one. */
interface Context {
  readonly __currentQuery?: unknown
  readonly operationId?: number
  readonly reply?: {
    readonly request?: { readonly body?: unknown; readonly query?: unknown }
    header?(name: string, value: string): unknown
  }
}

/** As much of a Fastify instance with mercurius as is used. */
export interface WithMercurius {
  readonly graphql: { addHook(name: never, hook: never): void }
  addHook(name: 'onClose', hook: () => Promise<void>): unknown
}

/** Registers the hooks: `app.register(limits.mercurius)`, after mercurius itself. */
export type MercuriusPlugin = (app: object) => Promise<void>

export function mercuriusPlugin(limiter: OperationLimiter): MercuriusPlugin {
  const running = new WeakMap<object, RunningOperation>()
  const subscriptions = new WeakMap<object, Map<unknown, RunningOperation>>()
  const hooks = {
    preParsing: async (_schema: GraphQLSchema, source: string, context: object) => {
      const refusal = limiter.refusesText(source)
      if (refusal !== undefined) throw errorFor(refusal, context)
    },
    preExecution: async (
      schema: GraphQLSchema,
      document: DocumentNode,
      context: object,
      variables: unknown,
    ) => {
      running.set(context, await admitted(limiter, askedOf(schema, document, context, variables)))
    },
    onResolution: async (execution: ActualResult, context: object) =>
      running.get(context)?.end(execution),
    preSubscriptionParsing: async (_schema: GraphQLSchema, source: string, context: object) =>
      hooks.preParsing(_schema, source, context),
    preSubscriptionExecution: async (
      schema: GraphQLSchema,
      document: DocumentNode,
      context: object,
      id: unknown,
    ) => {
      const asked = { ...askedOf(schema, document, context, undefined), mayBeAny: true }
      const started = await admitted(limiter, asked)
      endWithSource(schema, context, started)
      const connection = connectionOf(context)
      const known = subscriptions.get(connection)
      if (known === undefined) subscriptions.set(connection, new Map([[id, started]]))
      else known.set(id, started)
    },
    onSubscriptionEnd: async (context: object, id: unknown) =>
      subscriptions.get(connectionOf(context))?.get(id)?.end(),
  }
  return unencapsulated(async (given: object) => {
    const app = given as WithMercurius
    for (const [name, hook] of Object.entries(hooks))
      app.graphql.addHook(name as never, hook as never)
    app.addHook('onClose', async () => limiter.close())
  })
}

/** Each subscription has a context of its own, and the hook for its end gets that of the last. */
function connectionOf(context: object): object {
  return exchangeOf(context).request ?? context
}

async function admitted(limiter: OperationLimiter, asked: Asked): Promise<RunningOperation> {
  const answer = await limiter.admit(asked)
  if (answer instanceof RunningOperation) return answer
  throw errorFor(answer, asked.context)
}

/** mercurius gives a response the status of the error that is thrown, and no headers. */
function errorFor(refusal: OperationRefusal, context: object): Error {
  const { headers, status } = httpOf(refusal, wantsStatus(exchangeOf(context).headers.accept))
  const { reply } = context as Context
  for (const [name, value] of Object.entries(headers)) reply?.header?.(name, value)
  const { message, extensions } = refusal
  return Object.assign(new Error(message), { extensions, statusCode: status })
}

/** Hooks are not told which operation is executed. What the request says is true of its own query alone. */
function askedOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  context: object,
  variables: unknown,
): Asked {
  const asked = { schema, document, variables, context }
  const count = document.definitions.filter(({ kind }) => kind === 'OperationDefinition').length
  if (count === 1) return { ...asked, operationName: undefined }
  const operationName = nameIn(context as Context)
  if (operationName === undefined) return { ...asked, operationName, mayBeAny: true }
  return { ...asked, operationName }
}

function nameIn({ __currentQuery, operationId, reply }: Context): string | undefined {
  const { body, query } = reply?.request ?? {}
  const parts = Array.isArray(body) ? body[operationId ?? -1] : (body ?? query)
  const { operationName, query: text } = (parts ?? {}) as Record<string, unknown>
  const isOwn = typeof text === 'string' && text === __currentQuery
  return isOwn && typeof operationName === 'string' ? operationName : undefined
}

/** Fastify gives such a plugin no context of its own: its hooks are those of the app. */
function unencapsulated<Plugin extends object>(plugin: Plugin): Plugin {
  return Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'ratethrottle/graphql',
    [Symbol.for('plugin-meta')]: { name: 'ratethrottle/graphql', dependencies: ['mercurius'] },
  })
}
