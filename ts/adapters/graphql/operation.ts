import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { DocumentNode } from 'graphql'
import type { Ending } from '../../http/adapter.ts'
import { EndListeners } from '../../http/response-end.ts'
import { type Ends, isLeftBy, whenDone } from './exchange.ts'

/** What kind of operation it is. */
export type OperationKind = 'query' | 'mutation' | 'subscription'

/** What is known of an operation when it is decided about. */
export interface OperationFacts {
  /** What resolvers get as their context. */
  readonly context: object
  /** The request of node:http that it came with, where the context has it. */
  readonly request: IncomingMessage | undefined
  readonly document: DocumentNode
  readonly variables: unknown
  readonly operationName: string | undefined
  readonly kind: OperationKind
  readonly cost: number
  readonly depth: number
}

/** One operation: what key functions and hooks get. Of the client are its name, its variables and its document. */
export class Operation implements OperationFacts {
  readonly context: object
  readonly request: IncomingMessage | undefined
  readonly document: DocumentNode
  readonly variables: unknown
  readonly operationName: string | undefined
  readonly kind: OperationKind
  /** What it may cost, in units. */
  readonly cost: number
  readonly depth: number
  readonly #headers: IncomingHttpHeaders
  readonly #end = new EndListeners()
  readonly #stop: () => void

  /** @param response whose end is the operation's, unless that ends before */
  constructor(facts: OperationFacts, headers: IncomingHttpHeaders, response: Ends | undefined) {
    this.context = facts.context
    this.request = facts.request
    this.document = facts.document
    this.variables = facts.variables
    this.operationName = facts.operationName
    this.kind = facts.kind
    this.cost = facts.cost
    this.depth = facts.depth
    this.#headers = headers
    this.#stop = response === undefined ? () => {} : whenDone(response, () => this.#gone(response))
  }

  static headersOf(operation: Operation): IncomingHttpHeaders {
    return operation.#headers
  }

  /** Calls `ended` once, when the operation is over. */
  static onEnd(operation: Operation, ended: (ending: Ending) => void): () => void {
    return operation.#end.add(ended)
  }

  /** Says that the operation is over: with a status of HTTP, or `undefined` if its client has left. */
  static end(operation: Operation, status: Ending): void {
    operation.#endWith(status)
  }

  #gone(response: Ends): void {
    this.#endWith(isLeftBy(response) ? undefined : 200)
  }

  #endWith(status: Ending): void {
    if (this.#end.isOver) return
    this.#stop()
    this.#end.end(status)
  }
}
