import { isClosed } from '../../errors.ts'
import type { Figures, Report } from '../types.ts'
import { type Family, type FamilyHead, families, HEADS } from './families.ts'

/** A registry of prom-client, as far as it is used here. */
export interface MetricRegistry {
  registerMetric(metric: never): void
  removeSingleMetric(name: string): void
}

/**
 * Adds all metrics to a registry of prom-client, which asks for their numbers at each scrape.
 *
 * @returns a function that takes them out again
 * @throws what the registry throws when it has one of the names already; then it has none of the others
 */
export function register(figures: Pick<Figures, 'report'>, registry: MetricRegistry): () => void {
  const read = oncePerTurn(() => unlessClosed(figures))
  const names: string[] = []
  const remove = () => {
    for (const name of names.splice(0)) registry.removeSingleMetric(name)
  }
  try {
    for (const [place, head] of HEADS.entries()) {
      registry.registerMetric(metric(head, place, read) as never)
      names.push(head.name)
    }
  } catch (error) {
    remove()
    throw error
  }
  return remove
}

/** What a scrape shows, and how prom-client adds up what several workers of a cluster show. */
interface Scrape {
  readonly families: readonly Family[]
  readonly aggregator: 'max' | 'sum'
}

/** What there is to show: of an insight that was closed nothing, and the other metrics of the registry go on. */
export function unlessClosed(figures: Pick<Figures, 'report'>): Report | undefined {
  try {
    return figures.report()
  } catch (error) {
    if (isClosed(error)) return undefined
    throw error
  }
}

/** prom-client asks each metric on its own, all in one turn: they shall speak of the same moment. */
function oncePerTurn(take: () => Report | undefined): () => Scrape {
  let scrape: Scrape | undefined
  return () => {
    if (scrape === undefined) {
      const report = take()
      // Workers that count in the same memory all report the same sums.
      const aggregator = (report?.processes ?? 1) > 1 ? 'max' : 'sum'
      scrape = { families: report === undefined ? [] : families(report), aggregator }
      queueMicrotask(() => {
        scrape = undefined
      })
    }
    return scrape
  }
}

/** What prom-client calls of a metric. For OpenMetrics it changes the name of a counter, so nothing is frozen. */
function metric({ name, type, help }: FamilyHead, place: number, read: () => Scrape): object {
  const shown = {
    name,
    type,
    help,
    async get(): Promise<object> {
      const { families, aggregator } = read()
      const values = (families[place]?.samples ?? []).map(({ suffix, labels, value }) =>
        suffix === '' ? { labels, value } : { labels, value, metricName: `${name}${suffix}` },
      )
      return { name: shown.name, type, help, values, aggregator }
    },
    // The figures are not prom-client's to reset.
    reset() {},
  }
  return shown
}
