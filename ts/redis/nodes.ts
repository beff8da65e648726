import type { StoreStatus } from '../limiter.ts'
import type { BreakerOwner } from '../remote/circuit-breaker.ts'
import { OutageReporter, publish, type StoreFailure, type StoreUser } from '../remote/failure.ts'
import { Server } from './calls.ts'
import { Diagnosis, failureAt, HINTS } from './failure.ts'
import { Heartbeats } from './heartbeat.ts'
import type { RedisConnection } from './ioredis.ts'
import { slotOf } from './key.ts'
import { Probe } from './probe.ts'

/** The servers behind a connection: which of them decide, and why the others do not. */
export class Nodes implements BreakerOwner {
  /** The limiters that share the connection. */
  readonly users: Set<StoreUser> = new Set()
  readonly heartbeats: Heartbeats
  /** The connection as a whole. */
  readonly #whole: Server = new Server('', this, false)
  /** The servers of a cluster. */
  readonly #byNode = new Map<string, Server>()
  /** Why a server is not available, as far as it is known. */
  readonly #failures = new Map<Server, StoreFailure>()
  readonly #reporter: OutageReporter = new OutageReporter('Redis', HINTS, this.users)
  readonly #diagnosis: Diagnosis
  readonly #probe: Probe
  #outages = 0
  /** Whether no server has replied yet, and was not waited for long enough. */
  #isStarting = true

  /** @param onReady called whenever the connection as a whole is available again */
  constructor(
    private readonly connection: RedisConnection,
    private readonly onReady: () => void,
  ) {
    this.#diagnosis = new Diagnosis(connection, (failure) => this.#learn(this.#whole, failure))
    this.heartbeats = new Heartbeats(connection, (name) => this.serverOf(name))
    this.#probe = new Probe(connection, this.heartbeats, this.#diagnosis)
    this.#listen()
  }

  /** How often a server stopped replying. */
  get outages(): number {
    return this.#outages
  }

  /** Whether Redis decides about any key, and if not, why. */
  get status(): StoreStatus {
    const servers = [...this.#byNode.values()]
    const isAny = servers.length === 0 || servers.some(({ isAvailable }) => isAvailable)
    if (this.#whole.isAvailable && isAny) return { available: true, reason: undefined }
    const server = this.#whole.isAvailable ? servers[0] : this.#whole
    const failure = server === undefined ? undefined : this.#failures.get(server)
    return { available: false, reason: failure?.reason ?? 'disconnected' }
  }

  /** See {@link BreakerOwner}. */
  get shortestMs(): number {
    let shortest = Number.POSITIVE_INFINITY
    for (const { deadlineMs } of this.users) shortest = Math.min(shortest, deadlineMs)
    return shortest
  }

  /** The server that holds `name`. */
  serverOf(name: string): Server {
    if (this.connection.isCluster !== true || !this.#whole.isAvailable) return this.#whole
    const slot = slotOf(`${this.connection.options.keyPrefix ?? ''}${name}`)
    const node = this.connection.slots?.[slot]?.[0] ?? ''
    if (node === '') return this.#whole
    const known = this.#byNode.get(node)
    if (known !== undefined) return known
    const server = new Server(node, this, true)
    this.#byNode.set(node, server)
    return server
  }

  /** There was no connection in time for the callers that waited for it. */
  giveUpStart(): void {
    this.#isStarting = false
    const known = this.#failures.get(this.#whole)
    const isReason = known !== undefined && known.weight > 0
    this.opened(this.#whole, isReason ? known : this.#diagnosis.whySilent())
  }

  async close(): Promise<void> {
    const isReady = this.connection.status === 'ready' && this.#whole.isAvailable
    for (const server of [this.#whole, ...this.#byNode.values()]) server.stop()
    await this.heartbeats.stop(isReady)
  }

  /** See {@link BreakerOwner}. */
  probe(server: Server): Promise<number> {
    return this.#probe.run(server, this, this.#isStarting)
  }

  /** See {@link BreakerOwner}. */
  opened(server: Server, failure: StoreFailure): void {
    this.#outages++
    this.#failures.set(server, failure)
    if (failure.kind === 'timeout') this.connection.refreshSlotsCache?.()
    publish({ available: false, reason: failure.reason, node: server.node, downMs: 0 }, this.users)
    this.#reporter.begins(server, failure)
  }

  /** See {@link BreakerOwner}. */
  stayedOpen(server: Server, failure: StoreFailure): void {
    this.#learn(server, failure)
    if (!this.#isStarting) this.#reporter.goesOn(failure)
  }

  /** See {@link BreakerOwner}. */
  closed(server: Server, downMs: number): void {
    const failure = this.#failures.get(server)
    this.#failures.delete(server)
    const isFirst = server === this.#whole && this.#isStarting
    if (server === this.#whole) {
      this.#isStarting = false
      this.onReady()
      // With a single server the heartbeats were the probe.
      if (this.connection.isCluster === true) this.heartbeats.sendAllSoon()
    }
    // Before its first reply it was not reported as unavailable.
    if (isFirst || failure === undefined) return
    publish({ available: true, reason: failure.reason, node: server.node, downMs }, this.users)
    this.#reporter.ends(server)
  }

  #listen(): void {
    const { connection } = this
    connection.on('node error', (error: Error & { command?: { name?: string } }) => {
      this.#diagnosis.hear(error)
      // ioredis would go on in database 0.
      if (error.command?.name === 'select') this.#whole.open(failureAt('SELECT', error))
    })
    connection.on('ready', () => this.#whole.probeNow())
    connection.on('close', () => {
      const failure = this.#diagnosis.whyClosed()
      this.#learn(this.#whole, failure)
      this.#whole.open(failure)
    })
  }

  /** Keeps the most specific reason. */
  #learn(server: Server, failure: StoreFailure): void {
    if (server.isAvailable) return
    const known = this.#failures.get(server)
    if (failure.weight >= (known?.weight ?? 0)) this.#failures.set(server, failure)
  }
}
