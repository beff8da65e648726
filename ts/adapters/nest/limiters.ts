import type { ExecutionContext } from '@nestjs/common'
import type { HttpAdapter } from '../../http/adapter.ts'
import { type ConfigOpener, openConfigured, type RequestLimiter } from '../../http/config.ts'
import type { Warnings } from '../../http/events.ts'
import { HttpLimiter } from '../../http/http-limiter.ts'
import { besideConfig } from '../../http/lasting.ts'
import {
  type AnyHttpOptions,
  limitsAny,
  ownHttpOptions,
  resolveHttpOptions,
  withLimits,
} from '../../http/options.ts'
import {
  type HttpShield,
  openShield,
  orClose,
  refuseShield,
  withoutShield,
} from '../../http/shield.ts'
import { limiterNameOf } from '../../storage-url.ts'
import { withCode } from '../../validate.ts'
import { appliedTo, type Mark, marksOf } from './marks.ts'
import type { Kind } from './refusals.ts'

/** A limiter, and the name that programs ask for it by. */
export interface Opened {
  readonly name: string
  /** What it was made of. */
  readonly options: AnyHttpOptions
  readonly limiter: RequestLimiter
}

/** What the module's own limits are called in a store. */
const MODULE = 'nest'

/** The limiters of one application: that of the module, and those of decorators. */
export class Limiters {
  /** The module's own limits. */
  readonly own: Opened | undefined
  readonly shield: HttpShield | undefined
  readonly #adapter: HttpAdapter
  readonly #warnings: Warnings
  /** For the limits of decorators. `undefined` where a file says which limits there are. */
  readonly #inherited: AnyHttpOptions | undefined
  readonly #opened = new Map<Mark, Opened>()
  readonly #names = new Set<string>([MODULE])
  /** By handler and class. */
  readonly #applied = new WeakMap<object, Map<object, readonly RequestLimiter[]>>()
  /** Those that have to be told how a call ends. */
  readonly #lasting = new WeakSet<RequestLimiter>()
  readonly #closeConfigured: (() => void) | undefined

  /** @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted */
  constructor(given: AnyHttpOptions, adapter: HttpAdapter, warnings: Warnings) {
    this.#adapter = adapter
    this.#warnings = warnings
    const options = ownHttpOptions(given)
    const openShieldOf: ConfigOpener['shield'] = (own) => openShield(own, adapter, warnings)
    const opener: ConfigOpener = {
      reader: adapter,
      open: (own) => this.#open(own, MODULE),
      shield: openShieldOf,
    }
    const configured = openConfigured(options, opener)
    if (configured !== undefined) {
      this.own = { name: MODULE, options, limiter: configured.limiter }
      this.shield = configured.shield
      this.#closeConfigured = configured.close
      // A reload may bring limits that last.
      this.#lasting.add(configured.limiter)
      return
    }
    this.shield = openShieldOf(options)
    const inherited = withoutShield(options)
    this.#inherited = inherited
    this.own = orClose(this.shield, () => this.#openOwn(inherited))
  }

  #openOwn(options: AnyHttpOptions): Opened | undefined {
    if (limitsAny(options)) {
      return { name: MODULE, options, limiter: this.#open(options, MODULE) }
    }
    resolveHttpOptions(options)
    return undefined
  }

  #open(options: AnyHttpOptions, place: string): HttpLimiter {
    const name = limiterNameOf(place)
    const limiter = new HttpLimiter(options, this.#adapter, this.#warnings, name, place)
    const { countWhen, concurrent } = options
    const hasPermits = concurrent !== undefined && concurrent !== false
    if (countWhen !== undefined || hasPermits) this.#lasting.add(limiter)
    return limiter
  }

  /** Opens those of a class and its methods: when the application starts, so that a wrong option stops it. */
  openAll(host: object, handlers: Iterable<object>): void {
    for (const mark of marksOf(host)) this.#ofMark(mark)
    for (const handler of handlers) for (const mark of marksOf(handler)) this.#ofMark(mark)
  }

  #ofMark(mark: Mark): Opened {
    const known = this.#opened.get(mark)
    if (known !== undefined) return known
    const { given, place } = mark
    const opened = inDecorator(place, () => {
      if (this.#inherited === undefined) throw besideConfig('@Limit')
      refuseShield(given)
      const options = withLimits(this.#inherited, given, 'limits')
      const name = this.#nameFor(options.name ?? place)
      return { name, options, limiter: this.#open(options, name) }
    })
    this.#opened.set(mark, opened)
    return opened
  }

  /** Two decorators may stand in one place, and two classes may have one name. */
  #nameFor(place: string): string {
    let name = place
    for (let count = 2; this.#names.has(name); count++) name = `${place} ${count}`
    this.#names.add(name)
    return name
  }

  /** Those that apply to a handler, in the order they are asked. */
  for(context: ExecutionContext, kind: Kind): readonly RequestLimiter[] {
    const handler = context.getHandler()
    const host = context.getClass()
    const known = this.#applied.get(handler) ?? new Map<object, readonly RequestLimiter[]>()
    const found = known.get(host)
    if (found !== undefined) return found
    const { marks, withModule } = appliedTo(context)
    const limiters = marks.map((mark) => this.#ofMark(mark).limiter)
    const { own } = this
    if (withModule && own !== undefined && kind !== 'other') limiters.unshift(own.limiter)
    this.#applied.set(handler, known.set(host, limiters))
    return limiters
  }

  /** Whether one of them has to be told how a call ends. */
  anyLasts(limiters: readonly RequestLimiter[]): boolean {
    return limiters.some((limiter) => this.#lasting.has(limiter))
  }

  /** @throws RangeError if there is none of this name */
  named(name: string): Opened {
    const all = this.#all()
    const found = all.find((one) => one.name === name)
    if (found !== undefined) return found
    const names = all.map((one) => one.name).join(', ')
    const message = `no limits are called "${name.slice(0, 64)}"; there are: ${names || 'none'}`
    throw withCode(new RangeError(message), 'INVALID_ARGUMENT')
  }

  #all(): readonly Opened[] {
    return [...(this.own === undefined ? [] : [this.own]), ...this.#opened.values()]
  }

  async ready(): Promise<void> {
    await Promise.all(this.#all().map(({ limiter }) => limiter.ready()))
  }

  /** Answers the requests that wait: the server shuts down. */
  release(): void {
    for (const { limiter } of this.#all()) limiter.release()
    this.shield?.release()
  }

  close(): void {
    for (const { limiter } of this.#all()) limiter.close()
    this.#closeConfigured?.()
    this.shield?.close()
  }
}

/** Puts the decorator in front of what is wrong with its options: `@Limit of CatsController.find: Invalid limit ...`. */
function inDecorator<T>(place: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    const { message, stack } = error
    error.message = `@Limit of ${place}: ${message}`
    // It begins with the message as it was, and Node prints it.
    if (stack !== undefined) error.stack = stack.replace(message, () => error.message)
    throw error
  }
}
