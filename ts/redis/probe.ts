import { withTimeout } from '../limiter.ts'
import type { BreakerOwner } from '../remote/circuit-breaker.ts'
import { StoreFailure } from '../remote/failure.ts'
import { shortestRoundTrip } from '../remote/guard.ts'
import type { Server } from './calls.ts'
import { type Diagnosis, failureAt, failureOf, timedOut } from './failure.ts'
import { beat, type Heartbeats } from './heartbeat.ts'
import type { RedisConnection } from './ioredis.ts'
import { siblingName } from './key.ts'
import { firstArg, runScript, type ScriptArgs } from './script/index.ts'

/** A probe may take longer than a decision: no caller waits for it. */
const PROBE_MS = 1_000
/** The limit for one server of a cluster: soon after it, another server may have taken over. */
const NODE_PROBE_MS = 250
/** How long a server may take between accepting a connection and being ready. */
const READY_MS = 2_000

/** Probes the servers of one connection: whether they do what the limiters need, and how fast. */
export class Probe {
  /** Of a cluster: the connections to its servers that were opened. */
  readonly #connecting = new WeakMap<RedisConnection, Promise<unknown>>()
  /** Since when an established connection waits to become ready; 0 if none does. */
  #waitingSince = 0

  constructor(
    private readonly connection: RedisConnection,
    private readonly heartbeats: Heartbeats,
    private readonly diagnosis: Diagnosis,
  ) {
    // ioredis connects on first use. This saves the first call that wait, and reports an error at once.
    connection.on('+node', (node: RedisConnection) => {
      if (node.options.readOnly === true || node.status !== 'wait') return
      const connected = node.connect().catch(() => {})
      this.#connecting.set(node, connected)
    })
  }

  /**
   * Milliseconds of a round trip to a server that has proved that it works.
   *
   * @param isStarting whether no server has replied yet: then a probe may take longer
   * @throws StoreFailure
   */
  async run(server: Server, owner: BreakerOwner, isStarting: boolean): Promise<number> {
    const { stream } = this.connection
    if (this.connection.status !== 'ready') {
      this.#restartIfStuck()
      throw new StoreFailure('disconnected')
    }
    this.#waitingSince = 0
    try {
      const tookMs = await this.#measure(server, owner, isStarting)
      this.diagnosis.answered()
      // A reply on an old connection proves nothing about the current one.
      if (this.connection.stream === stream) return tookMs
    } catch (error) {
      const failure = failureOf(error)
      const { kind, reason } = failure
      if (kind !== 'disconnected') this.diagnosis.answered()
      if (kind === 'timeout' || reason === 'READONLY') this.#reconnect(server)
      throw failure
    }
    throw new StoreFailure('disconnected')
  }

  /** Reconnects if the connection was established and nothing has come since. */
  #restartIfStuck(): void {
    const now = performance.now()
    if (this.connection.status !== 'connect') this.#waitingSince = 0
    else if (this.#waitingSince === 0) this.#waitingSince = now
    else if (now - this.#waitingSince > READY_MS) {
      this.#waitingSince = 0
      this.diagnosis.silent()
      this.connection.disconnect(true)
    }
  }

  /** Leaves a server that is silent or was demoted: another may have taken its place. */
  #reconnect({ node }: Server): void {
    if (this.connection.isCluster !== true) {
      this.connection.disconnect(true)
      return
    }
    this.connection.refreshSlotsCache?.()
    const nodes = this.connection.nodes?.('master') ?? []
    nodes.find(({ options: { host, port } }) => `${host}:${port}` === node)?.disconnect(true)
  }

  /** The shortest of a few round trips, in milliseconds. */
  async #measure(server: Server, owner: BreakerOwner, isStarting: boolean): Promise<number> {
    const isWhole = server.node === ''
    if (isWhole && this.connection.isCluster === true) {
      await this.#proveCluster(isStarting)
      return 0
    }
    const ms = isWhole ? PROBE_MS : NODE_PROBE_MS
    if (isWhole) await withTimeout(repeatHandshake(this.connection), ms, timedOut)
    return shortestRoundTrip(owner, ms, (round) => this.#prove(server, isWhole, round === 0))
  }

  /**
   * Proves that the server runs scripts and accepts writes.
   *
   * @param isFull whether to also run the script that failed last
   */
  async #prove(server: Server, isWhole: boolean, isFull: boolean): Promise<void> {
    const { sample, place, clock } = server
    if (isWhole) await this.heartbeats.send()
    else await beat(this.connection, clock, [siblingName(sample?.name ?? place, 'alive')])
    if (isFull && sample !== undefined) await runSample(this.connection, sample, server)
  }

  /** Finds the failures that all servers of a cluster have in common; each server also has its own breaker. */
  async #proveCluster(isStarting: boolean): Promise<void> {
    const handshakes = this.#connectNodes()
    await withTimeout(handshakes, isStarting ? PROBE_MS : NODE_PROBE_MS, timedOut).catch(ifLasting)
    await withTimeout(this.heartbeats.send(), NODE_PROBE_MS, timedOut).catch(ifLasting)
  }

  async #connectNodes(): Promise<void> {
    const nodes = this.connection.nodes?.('master') ?? []
    const handshakes = nodes.map(async (node) => {
      await this.#connecting.get(node)
      if (node.status === 'ready') await repeatHandshake(node)
    })
    await Promise.all(handshakes)
  }
}

/** Ignores a failure unless the other servers of the cluster would fail in the same way. */
function ifLasting(error: unknown): void {
  const failure = failureOf(error)
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
async function repeatHandshake(connection: RedisConnection): Promise<void> {
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
  { script, name, tail }: ScriptArgs,
  { clock }: Server,
): Promise<void> {
  const now = performance.now()
  const deadline = clock.deadline(now + PROBE_MS, now)
  const probe = siblingName(name, 'probe')
  await runScript(connection, script, [1, probe, firstArg('c', 1, deadline), ...tail])
  await runScript(connection, script, [1, probe, firstArg('d', 0, deadline), ...tail])
}
