import type { DocumentNode, GraphQLError, GraphQLSchema } from 'graphql'
import { andThen, type MaybePromise } from '../../limiter.ts'
import { exchangeOf, wantsStatus } from './exchange.ts'
import type { Asked, OperationLimiter } from './operation-limiter.ts'
import type { OperationRefusal } from './refusals.ts'
import { RunningOperation } from './running.ts'

/*
 * Hooks of Envelop, and of Yoga, which is made of it. They are spelt out: a program with Apollo has no types of Yoga.
 */

/** Arguments of `execute` and `subscribe`. */
interface ExecutionArgs {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly contextValue?: unknown
  readonly variableValues?: unknown
  readonly operationName?: string | null | undefined
}

type Execute = (args: never) => unknown

interface Starting {
  readonly args: ExecutionArgs
  setResultAndStopExecution(result: never): void
}

/** Hooks of Envelop and Yoga. */
export interface EnvelopHooks {
  onSchemaChange(payload: { readonly schema: GraphQLSchema }): void
  onParse(payload: {
    readonly params: { readonly source: unknown }
    readonly context: unknown
  }): void
  onExecute(
    payload: Starting & { readonly executeFn: never; setExecuteFn(execute: never): void },
  ): MaybePromise<{ onExecuteDone(done: { readonly result: unknown }): never } | undefined>
  onSubscribe(
    payload: Starting & { readonly subscribeFn: never; setSubscribeFn(subscribe: never): void },
  ): MaybePromise<{ onSubscribeResult(done: { readonly result: unknown }): never } | undefined>
  onExecutionResult(payload: { readonly result?: unknown; readonly context: object }): void
  onDispose(): void
}

/** How errors are made that servers and clients of GraphQL know. */
export type MakeError = (
  refusal: OperationRefusal,
  http: { readonly status: number; readonly headers: object },
) => GraphQLError

export function envelopHooks(limiter: OperationLimiter, makeError: MakeError): EnvelopHooks {
  const open = new WeakMap<object, Set<RunningOperation>>()
  const start = starter(limiter, makeError, open)
  return {
    onSchemaChange: ({ schema }) => limiter.check(schema),
    onParse: ({ params: { source }, context }) => {
      const refusal = limiter.refusesText(textOf(source))
      if (refusal !== undefined) throw errorOf(refusal, context, makeError)
    },
    onExecute: (payload) => {
      const { executeFn } = payload
      const set = (running: RunningOperation): void =>
        payload.setExecuteFn(guarded(executeFn, running) as never)
      return andThen(start(payload, set), (running) => running && { onExecuteDone: after(running) })
    },
    onSubscribe: (payload) => {
      const { subscribeFn } = payload
      const set = (running: RunningOperation): void =>
        payload.setSubscribeFn(guarded(subscribeFn, running) as never)
      return andThen(
        start(payload, set),
        (running) => running && { onSubscribeResult: after(running) },
      )
    },
    // Of Yoga: where another plugin failed, no hook of Envelop says that the operation is over.
    onExecutionResult: ({ result, context }) => {
      if (isStream(result)) return
      for (const running of open.get(context) ?? []) void running.end()
    },
    onDispose: () => limiter.close(),
  }
}

type Start = (
  starting: Starting,
  wrap: (running: RunningOperation) => void,
) => MaybePromise<RunningOperation | undefined>

/** Asks about an operation before it is executed, or has it refused. */
function starter(
  limiter: OperationLimiter,
  makeError: MakeError,
  open: WeakMap<object, Set<RunningOperation>>,
): Start {
  return (
    { args, setResultAndStopExecution }: Starting,
    wrap: (running: RunningOperation) => void,
  ): MaybePromise<RunningOperation | undefined> => {
    const context = asObject(args.contextValue)
    return andThen(limiter.admit(askedOf(args, context)), (answer) => {
      if (!(answer instanceof RunningOperation)) {
        setResultAndStopExecution({ errors: [errorOf(answer, context, makeError)] } as never)
        return undefined
      }
      const known = open.get(context)
      if (known === undefined) open.set(context, new Set([answer]))
      else known.add(answer)
      wrap(answer)
      return answer
    })
  }
}

/** The error for a refusal, in the terms that this request asks for. */
function errorOf(refusal: OperationRefusal, context: unknown, makeError: MakeError): GraphQLError {
  const { headers } = exchangeOf(asObject(context))
  return makeError(refusal, httpOf(refusal, wantsStatus(headers.accept)))
}

function askedOf(args: ExecutionArgs, context: object): Asked {
  const { schema, document, variableValues: variables, operationName } = args
  return { schema, document, variables, operationName, context }
}

/** The function that executes: what it throws ends the operation, too. */
function guarded(execute: Execute, running: RunningOperation): Execute {
  const failed = (error: unknown): never => {
    void running.end()
    throw error
  }
  return (args) => {
    try {
      const result = execute(args)
      return result instanceof Promise ? result.catch(failed) : result
    } catch (error) {
      return failed(error)
    }
  }
}

/** To be called with the result. */
function after(running: RunningOperation): (done: { readonly result: unknown }) => never {
  return ({ result }) => ended(running, result) as never
}

/** A result is whole, or comes in parts: then the operation ends with the last of them. */
function ended(running: RunningOperation, result: unknown): unknown {
  const end = (): void => void running.end()
  if (isStream(result)) return { onEnd: end }
  const isWhole = typeof result === 'object' && result !== null && !('initialResult' in result)
  return isWhole ? running.end(result as object) : end()
}

export function isStream(result: unknown): boolean {
  const isObject = typeof result === 'object' && result !== null
  return isObject && Symbol.asyncIterator in result
}

/** What the response says of a refusal: its status only to clients that want it so. */
export function httpOf(
  { status, retryAfter }: OperationRefusal,
  wants: boolean,
): { readonly status: number; readonly headers: Readonly<Record<string, string>> } {
  const headers: Record<string, string> =
    retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  return { status: wants ? status : 200, headers }
}

function asObject(context: unknown): object {
  return typeof context === 'object' && context !== null ? context : {}
}

function textOf(source: unknown): string {
  if (typeof source === 'string') return source
  const { body } = (source ?? {}) as { readonly body?: unknown }
  return typeof body === 'string' ? body : ''
}
