import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from 'graphql'
import type { CallLimiter } from '../../calls/call-limiter.ts'
import { Admission, CallGate, type Refusal } from '../../calls/gate.ts'
import { RequestRefused } from '../../errors.ts'
import { andThen, type MaybePromise, type StoreStatus } from '../../limiter.ts'
import { type ActualResult, Costs, type OperationCost } from './cost.ts'
import { DocumentNotValid, notValid, operationOf } from './document.ts'
import { exchangeOf } from './exchange.ts'
import { faceOf } from './face.ts'
import { Operation, type OperationKind } from './operation.ts'
import { plansOf } from './plans.ts'
import { type OwnOptions, type PluginOptions, readPluginOptions } from './plugin-options.ts'
import {
  notExecutable,
  type OperationRefusal,
  refusalOf,
  tooDear,
  tooDeep,
  tooLong,
} from './refusals.ts'
import { RunningOperation } from './running.ts'
import { countTokens } from './tokens.ts'

/** An operation that a server is about to execute. */
export interface Asked {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly variables: unknown
  readonly operationName: string | null | undefined
  readonly context: object
  /** The server does not say which of the document's operations it executes: the dearest counts. */
  readonly mayBeAny?: boolean
}

/** What may be executed, or why it may not. */
export type Answer = RunningOperation | OperationRefusal

/** Gives back what an operation did not use. */
type Refunding = (result: ActualResult) => MaybePromise<void>

/** An operation of a document, and its cost. */
interface Counted extends OperationCost {
  readonly node: OperationDefinitionNode
}

/** Limits the operations of one server, whichever that is. */
export class OperationLimiter {
  readonly #gate: CallGate<Operation>
  readonly #limiters: readonly CallLimiter[]
  readonly #own: OwnOptions
  readonly #costs: Costs
  readonly #mayWait: boolean
  readonly #isDryRun: boolean

  /** @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted */
  constructor(options: PluginOptions) {
    const { gate, own, limits } = readPluginOptions(options)
    this.#own = own
    this.#costs = new Costs(own)
    this.#mayWait = limits?.concurrent !== undefined
    this.#isDryRun = gate.gate.dryRun
    this.#gate = new CallGate(gate, faceOf(own), 'graphql')
    try {
      this.#limiters = limits === undefined ? [] : [this.#gate.open(limits, '')]
    } catch (error) {
      this.#gate.close()
      throw error
    }
  }

  /** Why the text of a document is not to be parsed, if so. */
  refusesText(text: string): OperationRefusal | undefined {
    const { maxTokens, maxCharacters } = this.#own
    if (this.#isDryRun) return undefined
    if (text.length > maxCharacters) return tooLong(maxCharacters, 'characters')
    return countTokens(text, maxTokens) > maxTokens ? tooLong(maxTokens, 'tokens') : undefined
  }

  /** @throws TypeError if a directive of the schema is not as it must be */
  check(schema: GraphQLSchema): void {
    plansOf(schema).readAll()
  }

  /** Decides about an operation, and charges it. Never throws. */
  admit(asked: Asked): MaybePromise<Answer> {
    let counted: Counted
    try {
      counted = this.#count(asked)
    } catch (error) {
      return this.#notCounted(asked, error)
    }
    const operation = this.#operation(asked, counted)
    const refusal = this.#refusal(counted)
    if (refusal === undefined) return this.#enter(operation, asked, counted)
    this.#gate.denied(operation, undefined, undefined)
    return this.#isDryRun
      ? this.#enter(operation, asked, counted)
      : this.#refuse(operation, refusal)
  }

  #count({ schema, document, variables, operationName, mayBeAny }: Asked): Counted {
    const definitions = this.#costs.definitions(schema, document)
    const nodes = mayBeAny ? definitions.operations : [operationOf(definitions, operationName)]
    let dearest: Counted | undefined
    for (const node of nodes) {
      const { cost, depth } = this.#costs.of(schema, document, node, variables)
      const deeper = Math.max(depth, dearest?.depth ?? 0)
      const isDearest = dearest === undefined || cost > dearest.cost
      dearest = isDearest
        ? { node, cost, depth: deeper }
        : { ...(dearest as Counted), depth: deeper }
    }
    if (dearest === undefined) throw notValid('has no operation')
    return dearest
  }

  #refusal({ cost, depth }: OperationCost): OperationRefusal | undefined {
    const { maxCost, maxDepth } = this.#own
    if (maxDepth !== undefined && depth > maxDepth) return tooDeep(depth, maxDepth)
    return maxCost !== undefined && cost > maxCost ? tooDear(cost, maxCost) : undefined
  }

  #operation(asked: Asked, { node, cost, depth }: Partial<Counted>): Operation {
    const { context, document, variables } = asked
    const { request, headers, response } = exchangeOf(context)
    const operationName = node?.name?.value
    const kind: OperationKind = node?.operation ?? 'query'
    const counted = { cost: cost ?? 0, depth: depth ?? 0 }
    const facts = { context, request, document, variables, operationName, kind, ...counted }
    return new Operation(facts, headers, response)
  }

  /** The document is none that could be executed; or the schema, or this package, has a fault. */
  #notCounted(asked: Asked, error: unknown): MaybePromise<Answer> {
    const operation = this.#operation(asked, {})
    if (error instanceof DocumentNotValid) {
      return this.#refuse(operation, notExecutable(error.message))
    }
    this.#gate.failed(operation, error)
    if (this.#isDryRun) return new RunningOperation(operation, NOT_COUNTED, undefined)
    Operation.end(operation, 500)
    return refusalOf(new RequestRefused('RATE_LIMITER_FAILED'), 0)
  }

  /** Refuses an operation that no limit is asked about. The shield is, which counts a failure of the client's. */
  #refuse(operation: Operation, refusal: OperationRefusal): MaybePromise<OperationRefusal> {
    return andThen(this.#ask(operation, [], 1), (found) => {
      const own = found instanceof Admission || found === undefined ? refusal : refusalOf(found, 0)
      Operation.end(operation, own.status)
      return own
    })
  }

  #enter(operation: Operation, asked: Asked, counted: Counted): MaybePromise<Answer> {
    const units = Math.max(1, operation.cost)
    return andThen(this.#ask(operation, this.#limiters, units), (found) => {
      if (found instanceof Admission) {
        const refund = this.#refundOf(found, units, asked, counted)
        const safe = refund && this.#orCharged(operation, refund)
        return new RunningOperation(operation, found, safe)
      }
      const refusal = found ?? new RequestRefused('RATE_LIMITER_FAILED')
      Operation.end(operation, refusal.statusCode)
      return refusalOf(refusal, units)
    })
  }

  /** @returns `undefined` if the client has left while it waited */
  #ask(
    operation: Operation,
    limiters: readonly CallLimiter[],
    cost: number,
  ): MaybePromise<Admission | Refusal | undefined> {
    const gone = this.#mayWait ? new AbortController() : undefined
    const stop = gone && Operation.onEnd(operation, () => gone.abort())
    const done = <T>(found: T): T => {
      stop?.()
      return found
    }
    try {
      const found = this.#gate.admit(operation, { limiters, cost, signal: gone?.signal })
      return found instanceof Promise ? found.then(done, () => done(undefined)) : done(found)
    } catch {
      return done(undefined)
    }
  }

  #refundOf(
    { key, decision }: Admission,
    charged: number,
    { schema, document, variables, mayBeAny }: Asked,
    { node }: Counted,
  ): Refunding | undefined {
    const [limiter] = this.#limiters
    const isCharged = limiter !== undefined && key !== undefined && decision?.allowed === true
    if (!isCharged || this.#own.refund === 'none') return undefined
    if (mayBeAny || node.operation === 'subscription') return undefined
    return (result) => {
      const used = this.#costs.actual(schema, document, node, variables, result)
      const unused = used === undefined ? 0 : charged - Math.max(1, used)
      return unused > 0 ? limiter.refund(key, unused) : undefined
    }
  }

  /** What can not be counted, or given back, stays charged: the operation has been answered for. */
  #orCharged(operation: Operation, refund: Refunding): Refunding {
    const failed = (error: unknown): void => this.#gate.failed(operation, error)
    return (result) => {
      try {
        const refunded = refund(result)
        return refunded instanceof Promise ? refunded.catch(failed) : refunded
      } catch (error) {
        return failed(error)
      }
    }
  }

  /** Forgets what a key has used. */
  async reset(key: string): Promise<void> {
    await Promise.all(this.#limiters.map((limiter) => limiter.reset(key)))
  }

  ready(): Promise<StoreStatus> {
    return this.#gate.ready()
  }

  close(): void {
    this.#gate.close()
  }
}

/** For an operation that no limit was asked about. */
const NOT_COUNTED = new Admission(undefined, [])
