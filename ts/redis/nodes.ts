import { type BreakerOwner, CircuitBreaker } from '../remote/circuit-breaker.ts'
import type { StoreFailure } from '../remote/failure.ts'
import type { Question } from './call.ts'
import { Skew } from './clock-offset.ts'
import { failureOf } from './failure.ts'
import { shakeHands } from './handshake.ts'
import type { RedisConnection } from './ioredis.ts'
import { within } from './within.ts'

/** The circuit breaker of one server, with what is known of that server. */
export class ServerBreaker extends CircuitBreaker {
  /** Of a cluster: the server, as `host:port`. Else empty. */
  readonly node: string
  /** The server's clock. */
  readonly skew: Skew = new Skew()
  /** What failed here last: a probe asks the like. */
  sample: Question | undefined
  /** The name of what failed here last. */
  place = ''

  constructor(node: string, owner: BreakerOwner, isAvailable: boolean) {
    super(owner, isAvailable)
    this.node = node
  }

  /**
   * @param asked the question, or the name of a count of processes
   * @param givenMs how long the call was given
   */
  callFailed(failure: StoreFailure, asked: Question | string, givenMs: number): void {
    this.place = typeof asked === 'string' ? asked : asked.name
    if (typeof asked !== 'string') this.sample = asked
    this.failed(failure, givenMs)
    // The servers of a cluster have one breaker each; a connection to one of them can't serve the others' keys.
    if (failure.reason === 'MOVED') this.open(failure)
  }

  protected override onOpen(): void {
    this.skew.forget()
  }
}

/** The servers of a cluster, as far as we have to do with each. A connection to a single server has none. */
export class Nodes {
  readonly #link: RedisConnection
  readonly #connecting = new WeakMap<RedisConnection, Promise<unknown>>()

  constructor(link: RedisConnection) {
    this.#link = link
    // ioredis connects on first use. A first call need not wait for that, and a reason is heard at once.
    link.on('+node', (node: RedisConnection) => {
      if (node.options.readOnly === true || node.status !== 'wait') return
      this.#connecting.set(
        node,
        node.connect().catch(() => {}),
      )
    })
  }

  /**
   * Waits until they are connected, and looks at what ioredis ignores then. A server that is away has a gate
   * of its own and does not keep the others shut.
   *
   * @throws StoreFailure where a step of the handshake is refused
   */
  async connected(ms: number): Promise<void> {
    const nodes = this.#link.nodes?.('master') ?? []
    const all = (): Promise<unknown> =>
      Promise.all(
        nodes.map(async (node) => {
          await this.#connecting.get(node)
          if (node.status === 'ready') await shakeHands(node)
        }),
      )
    await within(ms, all).catch(throwIfLasting)
  }

  /** Leaves a server that is silent or was demoted: another may have taken its place. */
  leave(name: string): void {
    if (this.#link.isCluster !== true) {
      this.#link.disconnect(true)
      return
    }
    this.#link.refreshSlotsCache?.()
    const links = this.#link.nodes?.('master') ?? []
    links.find(({ options: { host, port } }) => `${host}:${port}` === name)?.disconnect(true)
  }
}

/** What another server of the cluster would refuse as well. */
export function throwIfLasting(error: unknown): void {
  const failure = failureOf(error)
  if (failure.isLasting) throw failure
}
