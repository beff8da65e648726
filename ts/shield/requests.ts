import { addressKey } from '../client-ip/ip.ts'
import { isClosed, RequestRefused } from '../errors.ts'
import type { HttpAdapter } from '../http/adapter.ts'
import { type ClientResolver, IN_PROCESS, UNIX } from '../http/client.ts'
import { type Events, reasonOf, type Warnings } from '../http/events.ts'
import { type Outcome, ShieldRefusal } from '../http/response.ts'
import { isThenable, type MaybePromise } from '../limiter.ts'
import { tellEnd } from './ending.ts'
import type { Proxies } from './proxies.ts'
import { type ServiceLoad, TimedRequest } from './service-load.ts'
import { type RequestSettings, settingsOf } from './settings.ts'
import type { ShieldDecision, ShieldMode, ShieldOutcome, ShieldRequest } from './types.ts'
import { CLEAR_VERDICT, KnownVerdict, type RequestVerdict, type SuspectAnswer } from './verdict.ts'

/** What is asked about requests. */
export interface Judge {
  readonly mode: ShieldMode
  decide(request: ShieldRequest): ShieldDecision
  settle(request: ShieldRequest, outcome: ShieldOutcome): void
}

/** Whose requests are asked about. */
export interface Asker {
  readonly adapter: HttpAdapter
  readonly client: ClientResolver
  readonly warnings: Warnings
  /** For failures; `undefined` for a guard that is asked by hand. */
  readonly events: Events | undefined
}

/** What the guard is told of a request. The path is read only if it is asked for. */
class Asked extends TimedRequest implements ShieldRequest {
  readonly ip: string
  readonly sensitive: boolean
  readonly #target: string

  constructor(ip: string, target: string, sensitive: boolean) {
    super()
    this.ip = ip
    this.sensitive = sensitive
    this.#target = target
  }

  get path(): string {
    const end = this.#target.indexOf('?')
    return end === -1 ? this.#target : this.#target.slice(0, end)
  }
}

interface Shielded {
  shield?: unknown
}

/** Asks a guard about the requests of one server: each once, however often it comes past. */
export class RequestAsker {
  readonly #guard: Judge
  readonly #asker: Asker
  readonly #settings: RequestSettings
  readonly #proxies: Proxies
  readonly #load: ServiceLoad | undefined
  #isReleased = false

  constructor(guard: Judge, asker: Asker) {
    this.#guard = guard
    this.#asker = asker
    const { settings, proxies, load } = settingsOf(guard)
    this.#settings = settings
    this.#proxies = proxies
    this.#load = load
  }

  /**
   * Decides about a request, and has the guard told how its response ends.
   *
   * Never throws: a guard that fails lets requests pass, whose limits stand.
   *
   * @returns a promise for an attempt that is held back before it is refused
   */
  decide(request: object, response: object): MaybePromise<Outcome> {
    const { adapter, events } = this.#asker
    try {
      const verdict = this.known(request) ?? this.ask(request)
      if (verdict === undefined) return this.#withoutAddress(request)
      if (!verdict.allowed) return this.#refuse(verdict, response)
      // The program may have asked by hand, which does not watch the end.
      if (verdict.watch()) {
        tellEnd(adapter, response, (ending) => this.settle(request, verdict, ending ?? 'dropped'))
      }
    } catch (error) {
      events?.failed(request, error)
    }
    return undefined
  }

  /** What the guard has said about a request, if it was asked. */
  known(request: object): KnownVerdict | undefined {
    return KnownVerdict.of(this.#holderOf(request).shield, this.#guard)
  }

  /** Asks about a request. `undefined` if its client has no address. */
  ask(request: object): KnownVerdict | undefined {
    const asked = this.#asked(request)
    return asked && this.#keep(request, asked, this.#question(request, asked))
  }

  /**
   * Asks about a request by hand. One about which there is nothing to say is not marked: that costs more than all
   * the rest.
   */
  inspect(request: object): RequestVerdict {
    const known = this.known(request)
    if (known !== undefined) return known
    const asked = this.#asked(request)
    if (asked === undefined) return CLEAR_VERDICT
    const decision = this.#question(request, asked)
    if (decision.level === 0 && !asked.sensitive && asked.startedAt < 0) return CLEAR_VERDICT
    return this.#keep(request, asked, decision)
  }

  #question(request: object, asked: Asked): ShieldDecision {
    const decision = this.#guard.decide(asked)
    if (decision.level > 0) this.#notePeer(request, asked.ip)
    return decision
  }

  #keep(request: object, asked: Asked, decision: ShieldDecision): KnownVerdict {
    const answer = decision.allowed ? 'default' : this.#answerAbout(request, asked.ip, decision)
    if (!decision.allowed && answer !== 'default') this.#load?.started(asked)
    const holder = this.#holderOf(request)
    const previous = KnownVerdict.newest(holder.shield)
    const verdict = new KnownVerdict(decision, answer, this.#guard, asked, previous)
    holder.shield = verdict
    return verdict
  }

  #asked(request: object): Asked | undefined {
    const { adapter, client } = this.#asker
    client.warnOfStrayHeader(request)
    const ip = client.client(request)
    if (ip === undefined || ip === UNIX || ip === IN_PROCESS) return undefined
    const peer = adapter.peer(request)
    if (peer !== undefined && peer !== ip) this.#proxies.saw(peer)
    return new Asked(ip, adapter.target(request), this.#isSensitive(request))
  }

  /**
   * Before its source can be blocked, whether a peer that sent a request of its own is a proxy: such as for a check of
   * its health. Only the framework's own setting may not be known to the guard.
   */
  #notePeer(request: object, ip: string): void {
    const { adapter } = this.#asker
    if (adapter.peer(request) === ip && adapter.isProxy(request, ip)) this.#proxies.saw(ip)
  }

  /** How a request ended that was let through. Only the first time counts. */
  settle(request: object, verdict: KnownVerdict, outcome: ShieldOutcome): void {
    const asked = verdict.settle()
    if (asked !== undefined) this.#tell(request, asked, outcome)
  }

  /** The same by hand: also about a request that has no mark, or was not asked about. */
  outcome(request: object, outcome: ShieldOutcome): void {
    const known = this.known(request)
    if (known !== undefined) {
      this.settle(request, known, outcome)
      return
    }
    this.#load?.endedUnknown(outcome)
    // The usual case: the guard would not count it.
    const isFine = outcome === 'dropped' || outcome < 400
    if (isFine && this.#settings.sensitive === undefined) return
    const asked = this.#asked(request)
    if (asked !== undefined)
      this.settle(request, this.#keep(request, asked, CLEAR_VERDICT), outcome)
  }

  #tell(request: object, asked: ShieldRequest, outcome: ShieldOutcome): void {
    try {
      if (typeof outcome === 'number' && outcome >= 400) this.#notePeer(request, asked.ip)
      this.#guard.settle(asked, outcome)
    } catch (error) {
      // A guard that was closed meanwhile needs to know no more.
      if (!isClosed(error)) this.#warn(error)
    }
  }

  /** The request of node:http, which all frameworks and the program have in common, where there is one. */
  #holderOf(request: object): Shielded {
    return this.#asker.adapter.incoming(request) ?? request
  }

  #isSensitive(request: object): boolean {
    const { sensitive } = this.#settings
    if (sensitive === undefined) return false
    try {
      const answer = sensitive(request)
      if (isThenable(answer)) throw lateAnswer('sensitive', answer)
      return Boolean(answer)
    } catch (error) {
      this.#warn(error)
      return false
    }
  }

  #answerAbout(request: object, ip: string, decision: ShieldDecision): SuspectAnswer {
    const { onSuspect } = this.#settings
    if (onSuspect === undefined) return 'default'
    const { level, reasons } = decision
    try {
      const answer = onSuspect({ level, reasons, request, source: addressKey(ip) })
      if (isThenable(answer)) throw lateAnswer('onSuspect', answer)
      return answer === 'pass' || answer === 'challenge' ? answer : 'default'
    } catch (error) {
      this.#warn(error)
      return 'default'
    }
  }

  /** The request is not asked about. */
  #withoutAddress(request: object): Outcome {
    const { adapter, warnings } = this.#asker
    // The client has left, and nothing waits for an answer.
    if (adapter.peer(request) === undefined) {
      return this.#guard.mode === 'enforce' ? new RequestRefused('KEY_MISSING') : undefined
    }
    warnings.warnOnce(
      'RATETHROTTLE_SHIELD_NO_ADDRESS',
      'the shield lets requests pass that have no address of a client, as through a Unix-domain socket. Name ' +
        'the proxy behind it: trust: "unix"',
    )
    return undefined
  }

  #refuse(verdict: KnownVerdict, response: object): MaybePromise<Outcome> {
    const code = verdict.status === 503 ? 'REDUCED_CAPACITY' : 'ABNORMAL_USAGE'
    const since = performance.now()
    const refusal = (): ShieldRefusal => {
      const leftMs = verdict.retryAfterMs - (performance.now() - since)
      return new ShieldRefusal(code, Math.max(1, Math.ceil(leftMs / 1000)))
    }
    if (verdict.level !== 3 || this.#isReleased) return refusal()
    return this.#held(response)?.then(refusal) ?? refusal()
  }

  /** Settles when a held attempt is to be answered, or its client has left. */
  #held(response: object): Promise<void> | undefined {
    let end: () => void = () => {}
    let leave: (() => void) | undefined
    const held = new Promise<void>((resolve) => {
      end = resolve
      leave = this.#settings.tarpit.hold(resolve)
    })
    if (leave === undefined) return undefined
    const stop = this.#asker.adapter.onEnd(response, () => {
      leave?.()
      end()
    })
    return held.then(stop)
  }

  /** Answers the attempts that are held back; from now on none is. */
  release(): void {
    this.#isReleased = true
    this.#settings.tarpit.release()
  }

  #warn(error: unknown): void {
    this.#asker.warnings.warnOnce(
      'RATETHROTTLE_SHIELD_FAILED',
      () =>
        `a function among the options of the shield failed, or the guard did: ${reasonOf(error)}`,
    )
  }
}

/** The decision is made at once: a promise says nothing yet. */
function lateAnswer(name: string, answer: PromiseLike<unknown>): TypeError {
  // It must not end the process.
  answer.then(undefined, () => {})
  return new TypeError(`${name} must answer at once, not with a promise`)
}
