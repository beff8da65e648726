import type { StoreStatus } from '../limiter.ts'
import type { BreakerOwner } from '../remote/circuit-breaker.ts'
import { publish, StoreFailure } from '../remote/failure.ts'
import { OutageReporter, type StoreUser } from '../remote/outage.ts'
import type { Circle } from './circle.ts'
import { Diagnosis } from './diagnosis.ts'
import { failureAt, failureOf, HINTS } from './failure.ts'
import { shakeHands } from './handshake.ts'
import { Census, PULSE_MS, proveAlive } from './heartbeat.ts'
import type { RedisConnection } from './ioredis.ts'
import { siblingName, slotOf } from './key.ts'
import { Nodes, ServerBreaker, throwIfLasting } from './nodes.ts'
import { exercise } from './probe.ts'
import { within } from './within.ts'

/** A probe may take longer than a decision: no caller waits for it. */
const PROBE_MS = 1_000
/** How long a server may take between accepting a connection and being ready. */
const HANDSHAKE_MS = 2_000
/** Of one server of a cluster it may take less: it is asked again once another may have taken over. */
const NODE_PROBE_MS = 250
/** A round trip is measured so often at most until it is short enough: one may be late by chance. */
const MEASURED = 3

/** The servers behind a connection: which of them answer, and how many processes they serve. */
export class Servers implements BreakerOwner {
  /** The limiters that share the connection. */
  readonly users: Set<StoreUser> = new Set()
  readonly #link: RedisConnection
  readonly #started: () => void
  /** Of the connection as a whole. */
  readonly #main: ServerBreaker
  readonly #nodes: Nodes
  readonly #diagnosis: Diagnosis
  /** One for each server of a cluster. */
  readonly #gates = new Map<string, ServerBreaker>()
  readonly #censuses = new Map<string, Census>()
  /** Why a gate is not open, as far as it is known by now. */
  readonly #failures = new Map<ServerBreaker, StoreFailure>()
  readonly #outage: OutageReporter = new OutageReporter('Redis', HINTS, this.users)
  readonly #heartbeat: NodeJS.Timeout
  #soon: NodeJS.Immediate | undefined
  #isCounted = false
  #outages = 0
  /** Since when a connection that was made waits to become ready; 0 when none does. */
  #waitingSince = 0
  /** Whether the wait for the first connection is over. */
  #hasStarted = false

  /** @param started called whenever the connection as a whole is back */
  constructor(link: RedisConnection, started: () => void) {
    this.#link = link
    this.#started = started
    this.#nodes = new Nodes(link)
    this.#diagnosis = new Diagnosis(link, (failure) => this.#learn(this.#main, failure))
    this.#main = new ServerBreaker('', this, false)
    this.#heartbeat = setInterval(() => void this.#beat(), PULSE_MS).unref()
    this.#listen()
  }

  /** How often a server stopped answering. */
  get outages(): number {
    return this.#outages
  }

  /** Whether Redis decides about any key, and if not, why. */
  get status(): StoreStatus {
    const gates = [...this.#gates.values()]
    const isAny = gates.length === 0 || gates.some((gate) => gate.isAvailable)
    if (this.#main.isAvailable && isAny) return { available: true, reason: undefined }
    const gate = this.#main.isAvailable ? gates[0] : this.#main
    const failure = gate === undefined ? undefined : this.#failures.get(gate)
    return { available: false, reason: failure?.reason ?? 'disconnected' }
  }

  /** See {@link BreakerOwner}. */
  get shortestMs(): number {
    let shortest = Number.POSITIVE_INFINITY
    for (const { deadlineMs } of this.users) shortest = Math.min(shortest, deadlineMs)
    return shortest
  }

  /** The gate before the server that holds `name`. */
  gateOf(name: string): ServerBreaker {
    if (this.#link.isCluster !== true || !this.#main.isAvailable) return this.#main
    const slot = slotOf(`${this.#link.options.keyPrefix ?? ''}${name}`)
    const node = this.#link.slots?.[slot]?.[0] ?? ''
    if (node === '') return this.#main
    return this.#gates.get(node) ?? this.#newNode(node)
  }

  /** Whether this process was never counted, and so knows of no other. */
  get isAlone(): boolean {
    return !this.#isCounted
  }

  /**
   * The processes that share the limits of one more limiter, counted from now on.
   *
   * @param limits what tells limits with this prefix apart
   */
  circle(prefix: string, limits: string): { readonly circle: Circle; letGo(): void } {
    const census = this.#censuses.get(prefix) ?? new Census(prefix)
    this.#censuses.set(prefix, census)
    const circle = census.join(limits)
    if (circle.processes === 0) this.#beatSoon(census)
    return { circle, letGo: () => census.letGo(limits) }
  }

  /** The connection could not be had in time for those who waited for it. */
  giveUpStart(): void {
    this.#hasStarted = true
    const known = this.#failures.get(this.#main)
    const says = known !== undefined && known.weight > 0
    this.opened(this.#main, says ? known : this.#diagnosis.whySilent())
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat)
    clearImmediate(this.#soon)
    const ready = this.#link.status === 'ready' && this.#main.isAvailable
    for (const gate of [this.#main, ...this.#gates.values()]) gate.stop()
    if (!ready) return
    const censuses = [...this.#censuses.values()]
    const leave = (): Promise<unknown> =>
      Promise.allSettled(censuses.map((census) => census.leave(this.#link)))
    await within(PROBE_MS, leave).catch(() => {})
  }

  /** See {@link BreakerOwner}. */
  opened(gate: ServerBreaker, failure: StoreFailure): void {
    this.#outages++
    this.#failures.set(gate, failure)
    if (failure.kind === 'timeout') this.#link.refreshSlotsCache?.()
    const { reason } = failure
    this.#tell({ available: false, reason, node: gate.node, downMs: 0 })
    this.#outage.begins(gate, failure)
  }

  /** See {@link BreakerOwner}. */
  stayedOpen(gate: ServerBreaker, failure: StoreFailure): void {
    this.#learn(gate, failure)
    if (this.#hasStarted) this.#outage.goesOn(failure)
  }

  /** See {@link BreakerOwner}. */
  async probe(gate: ServerBreaker): Promise<number> {
    const { stream } = this.#link
    if (this.#link.status !== 'ready') {
      this.#restartStuck()
      throw new StoreFailure('disconnected')
    }
    this.#waitingSince = 0
    try {
      const tookMs = await this.#measure(gate)
      this.#diagnosis.answered()
      // Unless what answered is a connection that is no more.
      if (this.#link.stream === stream) return tookMs
    } catch (error) {
      const failure = failureOf(error)
      const { reason, kind } = failure
      if (kind !== 'disconnected') this.#diagnosis.answered()
      if (kind === 'timeout' || reason === 'READONLY') this.#nodes.leave(gate.node)
      throw failure
    }
    throw new StoreFailure('disconnected')
  }

  /** See {@link BreakerOwner}. */
  closed(gate: ServerBreaker, downMs: number): void {
    const failure = this.#failures.get(gate)
    this.#failures.delete(gate)
    const isFirst = gate === this.#main && !this.#hasStarted
    if (gate === this.#main) {
      this.#hasStarted = true
      this.#started()
      // Elsewhere it was the counting that has proved that the server answers.
      if (this.#link.isCluster === true) {
        for (const census of this.#censuses.values()) this.#beatSoon(census)
      }
    }
    // It was not said to be away before it was there for the first time.
    if (isFirst || failure === undefined) return
    this.#tell({ available: true, reason: failure.reason, node: gate.node, downMs })
    this.#outage.ends(gate)
  }

  #listen(): void {
    const link = this.#link
    link.on('node error', (error: Error & { command?: { name?: string } }) => {
      this.#diagnosis.hear(error)
      // ioredis goes on in database 0.
      if (error.command?.name === 'select') this.#main.open(failureAt('SELECT', error))
    })
    link.on('ready', () => this.#main.probeNow())
    link.on('close', () => {
      const failure = this.#diagnosis.whyClosed()
      this.#learn(this.#main, failure)
      this.#main.open(failure)
    })
  }

  /** Keeps the reason that says most. */
  #learn(gate: ServerBreaker, failure: StoreFailure): void {
    if (gate.isAvailable) return
    const known = this.#failures.get(gate)
    if (failure.weight >= (known?.weight ?? 0)) this.#failures.set(gate, failure)
  }

  #tell(change: Parameters<typeof publish>[0]): void {
    const listeners = [...this.users].flatMap(({ onStoreChange }) => onStoreChange ?? [])
    publish(change, listeners)
  }

  /** A connection that was made and then heard nothing is made again. */
  #restartStuck(): void {
    const now = performance.now()
    if (this.#link.status !== 'connect') this.#waitingSince = 0
    else if (this.#waitingSince === 0) this.#waitingSince = now
    else if (now - this.#waitingSince > HANDSHAKE_MS) {
      this.#waitingSince = 0
      this.#learn(this.#main, new StoreFailure('timeout'))
      this.#diagnosis.answered()
      this.#link.disconnect(true)
    }
  }

  /** Milliseconds of a round trip, the shortest of a few. */
  async #measure(gate: ServerBreaker): Promise<number> {
    const isMain = gate === this.#main
    if (isMain && this.#link.isCluster === true) {
      await this.#proveCluster()
      return 0
    }
    if (isMain) await within(PROBE_MS, () => shakeHands(this.#link))
    const ms = isMain ? PROBE_MS : NODE_PROBE_MS
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < MEASURED && least >= this.shortestMs; round++) {
      const sentAt = performance.now()
      await within(ms, () => this.#prove(gate, round === 0))
      least = Math.min(least, performance.now() - sentAt)
    }
    return least
  }

  /** @param isFull whether to prove everything, and not only that there is an answer */
  async #prove(gate: ServerBreaker, isFull: boolean): Promise<void> {
    const { sample } = gate
    if (gate !== this.#main) {
      const name = sample?.name ?? gate.place
      await proveAlive(this.#link, siblingName(name, 'alive'), gate.skew)
    } else {
      await Promise.all([...this.#censuses.values()].map((census) => this.#count(census)))
    }
    if (isFull && sample !== undefined) await exercise(this.#link, sample, gate)
  }

  /** Of a cluster as a whole: what none of its servers would do. */
  async #proveCluster(): Promise<void> {
    await this.#nodes.connected(this.#hasStarted ? NODE_PROBE_MS : PROBE_MS)
    const counts = [...this.#censuses.values()].map((census) => this.#count(census))
    await within(NODE_PROBE_MS, () => Promise.all(counts)).catch(throwIfLasting)
  }

  async #count(census: Census): Promise<void> {
    await census.take(this.#link, this.gateOf(census.name).skew)
    this.#isCounted = true
    if (census.isDue(performance.now())) this.#beatSoon(census)
  }

  /** Once for all limiters that are made in one turn of the event loop. */
  #beatSoon(census: Census): void {
    if (!this.#main.isAvailable) return
    census.hurry()
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      void this.#beat()
    }).unref()
  }

  /** Says that this process lives; what fails here counts as a call that failed. */
  async #beat(): Promise<void> {
    for (const census of this.#censuses.values()) {
      const gate = this.gateOf(census.name)
      if (!gate.isAvailable || !census.isDue(performance.now())) continue
      await within(PROBE_MS, () => this.#count(census)).catch((error: unknown) => {
        gate.callFailed(failureOf(error), census.name, PROBE_MS)
      })
    }
  }

  #newNode(node: string): ServerBreaker {
    const gate = new ServerBreaker(node, this, true)
    this.#gates.set(node, gate)
    return gate
  }
}
