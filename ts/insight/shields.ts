import { canonical } from '../client-ip/ip.ts'
import type { CountedShield } from '../counting.ts'
import type { ShieldState, TopSource } from '../shield/types.ts'
import { invalid } from '../validate.ts'
import type { ShieldReport } from './types.ts'

/** Shields that are remembered by name. */
const MAX_SHIELDS = 100
/** Sources of each that a report names. */
const TOP = 20

/** What a shield calls a source that is no address. */
const WITHOUT_ADDRESS = 'no address'

/** The shields that stand before limits, as far as reports and controls need them. */
export class ShieldList {
  readonly #shields = new Map<string, WeakRef<CountedShield>>()
  readonly #nameOf: (source: string) => string

  /** @param nameOf how reports show the source of a shield */
  constructor(nameOf: (source: string) => string) {
    // It is no address, so there is nothing to hide.
    this.#nameOf = (source) => (source === WITHOUT_ADDRESS ? source : nameOf(source))
  }

  add(name: string, shield: CountedShield): void {
    const isKnown = [...this.#shields.values()].some((one) => one.deref() === shield)
    if (!isKnown && this.#shields.size < MAX_SHIELDS) {
      this.#shields.set(this.#freeName(name), new WeakRef(shield))
    }
  }

  reports(): ShieldReport[] {
    return this.#open().map(([name, shield, state]) => ({
      ...state,
      name,
      mode: shield.mode,
      top: shield.top(TOP).map((one) => this.#shown(one as TopSource)),
    }))
  }

  block(ip: string, ms: number): boolean {
    // A shield takes any text, and would say that it has blocked what no request comes from.
    const address = addressOf(ip)
    if (address === undefined) {
      throw invalid('string', 'INVALID_ARGUMENT', 'ip', 'an IP address such as "203.0.113.9"', ip)
    }
    return this.#open().filter(([, shield]) => shield.block(address, ms)).length > 0
  }

  /** @param source an address, or the name of one that a report has shown */
  pardon(source: string): boolean {
    const done = this.#open().filter(([, shield]) => {
      // Names are looked up: several sources may have one, and then all of them are pardoned.
      const named = (shield.top(1_000) as readonly TopSource[]).filter(
        (one) => one.blockedMs > 0 && this.#nameOf(one.source) === source,
      )
      const address = addressOf(source)
      if (named.length === 0) return address !== undefined && shield.pardon(address)
      return named.filter((one) => shield.pardon(addressOf(one.source) ?? one.source)).length > 0
    })
    return done.length > 0
  }

  #shown(source: TopSource): TopSource {
    return { ...source, source: this.#nameOf(source.source) }
  }

  /** Those that are in use: a closed one throws. */
  #open(): [string, CountedShield, ShieldState][] {
    const open: [string, CountedShield, ShieldState][] = []
    for (const [name, reference] of this.#shields) {
      const shield = reference.deref()
      try {
        if (shield === undefined) throw new Error('collected')
        open.push([name, shield, shield.state() as ShieldState])
      } catch {
        this.#shields.delete(name)
      }
    }
    return open
  }

  #freeName(name: string): string {
    if (!this.#shields.has(name)) return name
    let number = 2
    while (this.#shields.has(`${name} ${number}`)) number++
    return `${name} ${number}`
  }
}

/** Of a /64, an address in it; `undefined` for what is no address. */
function addressOf(source: unknown): string | undefined {
  if (typeof source !== 'string') return undefined
  return canonical(source.endsWith('/64') ? source.slice(0, -'/64'.length) : source)
}
