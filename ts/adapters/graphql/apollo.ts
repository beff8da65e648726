import type { DocumentNode, GraphQLSchema } from 'graphql'
import type { ActualResult } from './cost.ts'
import { wantsStatus } from './exchange.ts'
import type { OperationLimiter } from './operation-limiter.ts'
import type { OperationRefusal } from './refusals.ts'
import { RunningOperation } from './running.ts'
import { httpOf, type MakeError } from './yoga.ts'

/*
 * A plugin of Apollo Server. Its types are spelt out: a program with Yoga has none of Apollo.
 */

/** As much of Apollo's request as is used. */
interface RequestContext {
  readonly schema: GraphQLSchema
  readonly contextValue: unknown
  readonly document?: DocumentNode
  readonly request: {
    query?: string
    extensions?: Record<string, unknown>
    readonly variables?: Record<string, unknown>
    readonly operationName?: string | undefined
    readonly http?: { readonly headers: { get(name: string): string | undefined } } | undefined
  }
  readonly response: { body?: unknown }
}

/** Hooks of one request. */
interface RequestListener {
  didResolveOperation(context: RequestContext): Promise<void>
  willSendResponse(context: RequestContext): Promise<void>
}

/** Hooks of Apollo Server. */
export interface ApolloHooks {
  serverWillStart(service: {
    readonly schema: GraphQLSchema
  }): Promise<{ serverWillStop(): Promise<void> }>
  requestDidStart(context: RequestContext): Promise<RequestListener>
}

/** In place of a document that is not to be parsed. */
const NOTHING = '{ __typename }'

export function apolloHooks(limiter: OperationLimiter, makeError: MakeError): ApolloHooks {
  const errorFor = (refusal: OperationRefusal, { request }: RequestContext): Error => {
    const { status, headers } = httpOf(refusal, wantsStatus(request.http?.headers.get('accept')))
    // Apollo takes headers that are a Map.
    return makeError(refusal, { status, headers: new Map(Object.entries(headers)) })
  }
  return {
    serverWillStart: async ({ schema }) => {
      limiter.check(schema)
      return { serverWillStop: async () => limiter.close() }
    },
    requestDidStart: async ({ request }) => {
      const tooLong = refusedText(limiter, request)
      let running: RunningOperation | undefined
      return {
        didResolveOperation: async (context) => {
          if (tooLong !== undefined) throw errorFor(tooLong, context)
          const { schema, document, contextValue } = context
          const { variables, operationName } = request
          // Apollo answers that there is no such operation.
          if (document === undefined || !hasOperation(context)) return
          const asked = { schema, document, variables, operationName }
          const answer = await limiter.admit({ ...asked, context: asObject(contextValue) })
          if (!(answer instanceof RunningOperation)) throw errorFor(answer, context)
          running = answer
        },
        willSendResponse: async ({ response }) => running && finish(running, response),
      }
    },
  }
}

function hasOperation(context: object): boolean {
  return (context as { readonly operation?: unknown }).operation !== undefined
}

/** Apollo parses whatever the request has by then, and hooks after that can refuse it. */
function refusedText(
  limiter: OperationLimiter,
  request: RequestContext['request'],
): OperationRefusal | undefined {
  const { query } = request
  const refusal = typeof query === 'string' ? limiter.refusesText(query) : undefined
  if (refusal === undefined) return undefined
  request.query = NOTHING
  // Else it would be compared with the hash of what the client sent.
  if (request.extensions !== undefined) {
    const { persistedQuery: _, ...extensions } = request.extensions
    request.extensions = extensions
  }
  return refusal
}

interface Incremental {
  readonly kind: 'incremental'
  subsequentResults: AsyncIterable<unknown>
}

async function finish(running: RunningOperation, response: { body?: unknown }): Promise<void> {
  const body = response.body as
    | { readonly kind: 'single'; readonly singleResult: ActualResult }
    | Incremental
    | undefined
  if (body?.kind !== 'incremental') return running.end(body?.singleResult)
  body.subsequentResults = untilEnd(body.subsequentResults, running)
}

async function* untilEnd(
  results: AsyncIterable<unknown>,
  running: RunningOperation,
): AsyncIterable<unknown> {
  try {
    yield* results
  } finally {
    void running.end()
  }
}

function asObject(context: unknown): object {
  return typeof context === 'object' && context !== null ? context : {}
}
