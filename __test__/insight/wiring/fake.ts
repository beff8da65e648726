import type { Decision } from 'ratethrottle'

/** What is counted of one limiter. */
export interface Row {
  readonly about: { readonly name: string; readonly tier: string; readonly algorithm: string }
  readonly routes: Record<string, Record<string, number>>
  readonly decided: { readonly key: string; readonly allowed: boolean }[]
  refunded: number
  readonly waited: number[]
  readonly gaveUp: string[]
  readonly storeTook: number[]
  withoutStore: number
  closed: number
  served: unknown
}

// biome-ignore lint/suspicious/noExplicitAny: the seam's types are not exported
type Insight = any

/** Stands for an insight: keeps what limiters, adapters and shields tell it. */
export function fakeInsight() {
  const rows: Row[] = []
  const shields: { readonly name: string; readonly shield: object }[] = []
  const insight: Insight = {
    counter: (about: Row['about']) => {
      const row: Row = {
        about,
        routes: {},
        decided: [],
        refunded: 0,
        waited: [],
        gaveUp: [],
        storeTook: [],
        withoutStore: 0,
        closed: 0,
        served: undefined,
      }
      rows.push(row)
      return counterOf(row)
    },
    shielded: (name: string, shield: object) => shields.push({ name, shield }),
  }
  const rowOf = (name: string): Row => {
    const found = rows.filter((row) => row.about.name === name)
    if (found.length === 1) return found[0] as Row
    throw new Error(`${found.length} rows are called ${name}, of ${rows.map(nameOf).join()}`)
  }
  return { insight, rows, shields, rowOf }
}

function nameOf({ about }: Row): string {
  return about.name
}

function counterOf(row: Row) {
  return {
    place: { insight: 0, row: 0, dry: false },
    decided: (key: string, { allowed }: Decision) => row.decided.push({ key, allowed }),
    refunded: () => row.refunded++,
    waited: (ms: number) => row.waited.push(ms),
    gaveUp: (key: string) => row.gaveUp.push(key),
    storeTook: (ms: number) => row.storeTook.push(ms),
    withoutStore: () => row.withoutStore++,
    route: (route: string) => {
      row.routes[route] ??= {}
      const counts = row.routes[route]
      return {
        count: (outcome: string) => {
          counts[outcome] = (counts[outcome] ?? 0) + 1
        },
      }
    },
    serves: (limiter: unknown) => {
      row.served = limiter
    },
    close: () => row.closed++,
  }
}
