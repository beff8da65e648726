import { type StoreStatus, withTimeout } from '../limiter.ts'
import type { BreakerOwner } from '../remote/circuit-breaker.ts'
import { OutageReporter, publish, StoreFailure, type StoreUser } from '../remote/failure.ts'
import { shortestRoundTrip } from '../remote/guard.ts'
import { type RedisUser, Server } from './calls.ts'
import { Diagnosis, failureAt, HINTS, redisFailure, timedOut } from './failure.ts'
import { Heartbeats } from './heartbeat.ts'
import type { RedisConnection } from './ioredis.ts'
import { siblingName, slotOf } from './key.ts'
import { beat } from './process-count.ts'
import { firstArg, furtherArgs, runScript, type ScriptArgs } from './script/index.ts'

/** A probe may take longer than a decision: no caller waits for it. */
const PROBE_MS = 1_000
/** The limit for one server of a cluster: soon after it, another server may have taken over. */
const NODE_PROBE_MS = 250
/** How long a server may take between accepting a connection and being ready. */
const READY_MS = 2_000

/** The servers behind a connection: which of them decide, why the others do not, and whether they do again. */
export class Nodes implements BreakerOwner {
  /** The limiters that share the connection. */
  readonly users: Set<StoreUser> = new Set()
  readonly heartbeats: Heartbeats
  readonly #connection: RedisConnection
  readonly #onReady: () => void
  /** The connection as a whole. */
  readonly #whole: Server = new Server('', this, false)
  /** The servers of a cluster. */
  readonly #byNode = new Map<string, Server>()
  readonly #reporter: OutageReporter = new OutageReporter('Redis', HINTS, this.users)
  readonly #diagnosis: Diagnosis
  /** Of a cluster: the connections to its servers that were opened. */
  readonly #connecting = new WeakMap<RedisConnection, Promise<unknown>>()
  /** Since when an established connection waits to become ready; 0 if none does. */
  #waitingSince = 0
  /** How often a server stopped replying. */
  outages = 0
  /** Whether no server has replied yet, and was not waited for long enough. */
  #isStarting = true

  /** @param onReady called whenever the connection as a whole is available again */
  constructor(connection: RedisConnection, onReady: () => void) {
    this.#connection = connection
    this.#onReady = onReady
    this.#diagnosis = new Diagnosis(connection, (failure) => this.#learn(this.#whole, failure))
    this.heartbeats = new Heartbeats(connection, (name) => this.serverOf(name))
    // ioredis connects on first use. This saves the first call that wait, and reports an error at once.
    connection.on('+node', (node: RedisConnection) => {
      if (node.options.readOnly === true || node.status !== 'wait') return
      const connected = node.connect().catch(() => {})
      this.#connecting.set(node, connected)
    })
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

  /** Whether Redis decides about any key, and if not, why. */
  get status(): StoreStatus {
    const servers = [...this.#byNode.values()]
    const isAny = servers.length === 0 || servers.some(({ isAvailable }) => isAvailable)
    if (this.#whole.isAvailable && isAny) return { available: true, reason: undefined }
    const server = this.#whole.isAvailable ? servers[0] : this.#whole
    return { available: false, reason: server?.failure?.reason ?? 'disconnected' }
  }

  /** See {@link BreakerOwner}. */
  get shortestMs(): number {
    return Math.min(...[...this.users].map(({ deadlineMs }) => deadlineMs))
  }

  /** The server that holds `name`. */
  serverOf(name: string): Server {
    if (this.#connection.isCluster !== true || !this.#whole.isAvailable) return this.#whole
    const slot = slotOf(`${this.#connection.options.keyPrefix ?? ''}${name}`)
    const node = this.#connection.slots?.[slot]?.[0] ?? ''
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
    const known = this.#whole.failure
    const isReason = known !== undefined && known.weight > 0
    this.opened(this.#whole, isReason ? known : this.#diagnosis.whySilent())
  }

  /** A limiter does not use the connection any more. Returns whether it was known to. */
  leave(user: RedisUser): boolean {
    for (const server of [this.#whole, ...this.#byNode.values()]) server.forget(user)
    return this.users.delete(user)
  }

  async close(): Promise<void> {
    const isReady = this.#connection.status === 'ready' && this.#whole.isAvailable
    for (const server of [this.#whole, ...this.#byNode.values()]) server.stop()
    await this.heartbeats.stop(isReady)
  }

  /**
   * Milliseconds of a round trip to a server that has proved that it does what the limiters need.
   *
   * @throws StoreFailure
   */
  async probe(server: Server): Promise<number> {
    const { stream } = this.#connection
    if (this.#connection.status !== 'ready') {
      this.#restartIfStuck()
      throw new StoreFailure('disconnected')
    }
    this.#waitingSince = 0
    try {
      const tookMs = await this.#measure(server)
      this.#diagnosis.answered()
      // A reply on an old connection proves nothing about the current one.
      if (this.#connection.stream === stream) return tookMs
    } catch (error) {
      const failure = redisFailure(error)
      const { kind, reason } = failure
      if (kind !== 'disconnected') this.#diagnosis.answered()
      if (kind === 'timeout' || reason === 'READONLY') this.#reconnect(server)
      throw failure
    }
    throw new StoreFailure('disconnected')
  }

  /** See {@link BreakerOwner}. */
  opened(server: Server, failure: StoreFailure): void {
    this.outages++
    server.failure = failure
    if (failure.kind === 'timeout') this.#connection.refreshSlotsCache?.()
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
    const { failure } = server
    server.failure = undefined
    const isFirst = server === this.#whole && this.#isStarting
    if (server === this.#whole) {
      this.#isStarting = false
      this.#onReady()
      // With a single server the heartbeats were the probe.
      if (this.#connection.isCluster === true) this.heartbeats.sendAllSoon()
    }
    // Before its first reply it was not reported as unavailable.
    if (isFirst || failure === undefined) return
    publish({ available: true, reason: failure.reason, node: server.node, downMs }, this.users)
    this.#reporter.ends(server)
  }

  /** Reconnects if the connection was established and nothing has come since. */
  #restartIfStuck(): void {
    const now = performance.now()
    if (this.#connection.status !== 'connect') this.#waitingSince = 0
    else if (this.#waitingSince === 0) this.#waitingSince = now
    else if (now - this.#waitingSince > READY_MS) {
      this.#waitingSince = 0
      this.#diagnosis.silent()
      this.#connection.disconnect(true)
    }
  }

  /** Leaves a server that is silent or was demoted: another may have taken its place. */
  #reconnect({ node }: Server): void {
    const connection = this.#connection
    connection.refreshSlotsCache?.()
    const isNode = ({ options }: RedisConnection): boolean =>
      `${options.host}:${options.port}` === node
    const left =
      connection.isCluster === true ? connection.nodes?.('master').find(isNode) : connection
    left?.disconnect(true)
  }

  async #measure(server: Server): Promise<number> {
    const isWhole = server.node === ''
    if (isWhole && this.#connection.isCluster === true) {
      await this.#proveCluster()
      return 0
    }
    const ms = isWhole ? PROBE_MS : NODE_PROBE_MS
    if (isWhole) await withTimeout(repeatHandshake(this.#connection), ms, timedOut)
    return shortestRoundTrip(this, ms, (round) => this.#prove(server, isWhole, round === 0))
  }

  /**
   * Proves that the server runs scripts and accepts writes.
   *
   * @param isFull whether to also run the script that failed last
   */
  async #prove(server: Server, isWhole: boolean, isFull: boolean): Promise<void> {
    const { sample, place, clock } = server
    if (isWhole) await this.heartbeats.send()
    else await beat(this.#connection, clock, [siblingName(sample?.name ?? place, 'alive')])
    if (isFull && sample !== undefined) await runSample(this.#connection, sample, server)
  }

  /** Finds the failures that all servers of a cluster have in common; each server also has its own breaker. */
  async #proveCluster(): Promise<void> {
    const nodes = this.#connection.nodes?.('master') ?? []
    const handshakes = nodes.map(async (node) => {
      await this.#connecting.get(node)
      if (node.status === 'ready') await repeatHandshake(node)
    })
    const ms = this.#isStarting ? PROBE_MS : NODE_PROBE_MS
    await withTimeout(Promise.all(handshakes), ms, timedOut).catch(ifLasting)
    await withTimeout(this.heartbeats.send(), NODE_PROBE_MS, timedOut).catch(ifLasting)
  }

  /** Keeps the most specific reason. */
  #learn(server: Server, failure: StoreFailure): void {
    if (server.isAvailable) return
    if (failure.weight >= (server.failure?.weight ?? 0)) server.failure = failure
  }
}

/** Ignores a failure unless the other servers of the cluster would fail in the same way. */
function ifLasting(error: unknown): void {
  const failure = redisFailure(error)
  if (failure.isLasting) throw failure
}

/** Connections that once used a database other than 0: ioredis may select that one again. */
const moved = new WeakSet<RedisConnection>()

/**
 * Repeats what ioredis does on connecting, and looks at the outcome: if Redis refuses a step, ioredis goes on,
 * and counters would be kept in database 0.
 *
 * @throws StoreFailure that names the step
 */
export async function repeatHandshake(connection: RedisConnection): Promise<void> {
  const { db = 0, connectionName = '' } = connection.options
  const attempt = async (step: string, outcome?: Promise<unknown>): Promise<void> => {
    await outcome?.catch((error: unknown) => {
      throw failureAt(step, error)
    })
  }
  if (db > 0) moved.add(connection)
  if (moved.has(connection)) await attempt('SELECT', connection.select?.(db))
  if (connectionName !== '') {
    await attempt('CLIENT SETNAME', connection.client?.('SETNAME', connectionName))
  }
}

/**
 * Proves that the server does what calls like `sample` need: all commands of their script, with a name under
 * the limiter's own prefix, in the slot of the call that failed. Leaves no counter behind.
 */
async function runSample(
  connection: RedisConnection,
  { script, name, also = [], tail }: ScriptArgs,
  { clock }: Server,
): Promise<void> {
  const now = performance.now()
  const deadline = clock.deadline(now + PROBE_MS, now)
  const probes = [name, ...also].map((one) => siblingName(one, 'probe'))
  const run = (asked: Pick<ScriptArgs, 'op' | 'amount'>): Promise<unknown> => {
    const call = { ...asked, tail }
    const args = [firstArg(call, deadline), ...furtherArgs(call)]
    return runScript(connection, script, [probes.length, ...probes, ...args])
  }
  await run({ op: 'c', amount: 1 })
  await run({ op: 'd', amount: 0 })
}
