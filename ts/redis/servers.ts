import type { StoreStatus } from '../tier.ts'
import { Census, PULSE_MS, proveAlive } from './census.ts'
import type { Circle } from './circle.ts'
import type { Link } from './client.ts'
import { announce, type StoreListener } from './event.ts'
import { type FailureReason, failureOf, StoreFailure } from './failure.ts'
import { Gate, type GateKeeper } from './gate.ts'
import { slotOf, tagIn } from './slot.ts'
import { within } from './within.ts'

/** A probe may take longer than a decision: it holds up nobody. */
const PROBE_MS = 1_000
/** How long a server may take between accepting a connection and being ready. */
const HANDSHAKE_MS = 2_000
/** Of one server of a cluster it may take less: it is asked again once another may have taken over. */
const NODE_PROBE_MS = 250

/** The servers behind a connection: which of them answer, and how many processes they serve. */
export class Servers implements GateKeeper {
  readonly listeners: Set<StoreListener> = new Set()
  readonly #link: Link
  readonly #started: () => void
  /** Of the connection as a whole. */
  readonly #main: Gate
  /** One for each server of a cluster. */
  readonly #nodes = new Map<string, Gate>()
  readonly #censuses = new Map<string, Census>()
  readonly #reasons = new Map<Gate, FailureReason>()
  readonly #heartbeat: NodeJS.Timeout
  #soon: NodeJS.Immediate | undefined
  #isCounted = false
  #outages = 0
  /** Since when a connection that was made waits to become ready; 0 when none does. */
  #waitingSince = 0

  /** @param started called whenever the connection as a whole is back */
  constructor(link: Link, started: () => void) {
    this.#link = link
    this.#started = started
    this.#main = new Gate('', this, false)
    this.#heartbeat = setInterval(() => void this.#beat(), PULSE_MS).unref()
    link.on('ready', () => this.#main.probeNow())
    link.on('close', () => this.#main.shut('disconnected'))
  }

  /** How often a server stopped answering. */
  get outages(): number {
    return this.#outages
  }

  /** Whether Redis decides about any key, and if not, why. */
  get status(): StoreStatus {
    const shut = [...this.#nodes.values()].filter((gate) => !gate.open)
    const all = this.#nodes.size > 0 && shut.length === this.#nodes.size
    const gate = this.#main.open && all ? shut[0] : this.#main
    if (gate?.open === true) return { available: true, reason: undefined }
    const reason = (gate && this.#reasons.get(gate)) ?? 'disconnected'
    return { available: false, reason }
  }

  /** The gate before the server that holds `name`. */
  gateOf(name: string): Gate {
    if (this.#link.isCluster !== true || !this.#main.open) return this.#main
    const slot = slotOf(`${this.#link.options.keyPrefix ?? ''}${name}`)
    const node = this.#link.slots?.[slot]?.[0] ?? ''
    if (node === '') return this.#main
    return this.#nodes.get(node) ?? this.#newNode(node)
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

  /** The connection could not be had in time for the first who asked. */
  giveUpStart(): void {
    this.shut(this.#main, 'disconnected')
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat)
    clearImmediate(this.#soon)
    const ready = this.#link.status === 'ready' && this.#main.open
    for (const gate of [this.#main, ...this.#nodes.values()]) gate.close()
    if (!ready) return
    const censuses = [...this.#censuses.values()]
    const leave = (): Promise<unknown> =>
      Promise.allSettled(censuses.map((census) => census.leave(this.#link)))
    await within(PROBE_MS, leave).catch(() => {})
  }

  /** See {@link GateKeeper}. */
  shut(gate: Gate, reason: FailureReason): void {
    this.#outages++
    this.#reasons.set(gate, reason)
    if (reason === 'timeout') this.#link.refreshSlotsCache?.()
    announce({ available: false, reason, node: gate.node, downMs: 0 }, this.listeners)
  }

  /** See {@link GateKeeper}. */
  async probe(gate: Gate): Promise<void> {
    if (this.#link.status !== 'ready') {
      this.#restartStuck()
      throw new StoreFailure('disconnected')
    }
    this.#waitingSince = 0
    const ms = gate === this.#main ? PROBE_MS : NODE_PROBE_MS
    await within(ms, () => this.#prove(gate)).catch((error: unknown) => {
      const { reason, word } = failureOf(error)
      if (reason === 'timeout' || word === 'READONLY') this.#reconnect(gate)
      throw error
    })
  }

  /** See {@link GateKeeper}. */
  opened(gate: Gate, downMs: number): void {
    const reason = this.#reasons.get(gate)
    this.#reasons.delete(gate)
    if (gate === this.#main) {
      this.#started()
      // Elsewhere it was the counting that has proved that the server answers.
      if (this.#link.isCluster === true) {
        for (const census of this.#censuses.values()) this.#beatSoon(census)
      }
    }
    // Nobody was told that it is away before it was there for the first time.
    if (reason === undefined) return
    announce({ available: true, reason, node: gate.node, downMs }, this.listeners)
  }

  /** A connection that was made and then heard nothing is tried anew. */
  #restartStuck(): void {
    const now = performance.now()
    if (this.#link.status !== 'connect') this.#waitingSince = 0
    else if (this.#waitingSince === 0) this.#waitingSince = now
    else if (now - this.#waitingSince > HANDSHAKE_MS) {
      this.#waitingSince = 0
      this.#link.disconnect(true)
    }
  }

  async #prove(gate: Gate): Promise<void> {
    if (gate === this.#main && this.#link.isCluster !== true) {
      await Promise.all([...this.#censuses.values()].map((census) => this.#count(census)))
    } else if (gate === this.#main) {
      await this.#connectNodes()
    } else {
      await proveAlive(this.#link, `ratethrottle:probe:{${tagIn(gate.sample)}}`, gate.skew)
    }
  }

  /** Servers of a cluster are connected to on first use, and that would come out of the first call's time. */
  async #connectNodes(): Promise<void> {
    const nodes = this.#link.nodes?.('master') ?? []
    const connected = nodes.map((node) => node.status === 'ready' || node.connect())
    // One that is away has a gate of its own, and does not keep the others shut.
    await within(NODE_PROBE_MS, () => Promise.allSettled(connected)).catch(() => {})
  }

  async #count(census: Census): Promise<void> {
    await census.take(this.#link, this.gateOf(census.name).skew)
    this.#isCounted = true
    if (census.isDue(performance.now())) this.#beatSoon(census)
  }

  /** Once for all limiters that are made in one turn of the event loop. */
  #beatSoon(census: Census): void {
    if (!this.#main.open) return
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
      if (!gate.open || !census.isDue(performance.now())) continue
      await within(PROBE_MS, () => this.#count(census)).catch((error: unknown) => {
        gate.failed(failureOf(error).reason, census.name)
      })
    }
  }

  #newNode(node: string): Gate {
    const gate = new Gate(node, this, true)
    this.#nodes.set(node, gate)
    return gate
  }

  /** A server that is silent or was demoted is left: another may have taken its place. */
  #reconnect(gate: Gate): void {
    const { isCluster, nodes, refreshSlotsCache } = this.#link
    if (isCluster !== true) {
      this.#link.disconnect(true)
      return
    }
    refreshSlotsCache?.call(this.#link)
    const links = nodes?.call(this.#link, 'master') ?? []
    const stuck = links.find(({ options: { host, port } }) => `${host}:${port}` === gate.node)
    stuck?.disconnect(true)
  }
}
