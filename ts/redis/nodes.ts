import { failureOf } from '../remote/failure.ts'
import { shakeHands } from './handshake.ts'
import type { RedisConnection } from './ioredis.ts'
import { within } from './within.ts'

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
