import type { Report } from '../types.ts'

/*
 * What names a series of a metric. Label values come from configuration alone, never from clients; even so their
 * number is bounded, because a scraper stores each combination for months.
 */

/** This many limits have series of their own, and this many shields. */
const MAX_LIMITS = 64
/** This many routes, over all limits. */
const MAX_ROUTES = 256
/** What the others are called. */
export const OTHER = 'other'

/** The labels of one sample, in the order in which they are printed. */
export type Labels = Readonly<Record<string, string>>

/**
 * A name as a label value. Control characters but line breaks, which have an escape, and halves of surrogate
 * pairs become U+FFFD: parsers of the text format disagree about them, and one bad line loses a whole scrape.
 */
export function labelValue(name: string): string {
  return name.toWellFormed().replace(/(?!\n)\p{Cc}/gu, '\uFFFD')
}

/** Gives the first `max` names, in their order, as labels, and `other` for the rest. */
export function capped(
  names: Iterable<string>,
  max: number = MAX_LIMITS,
): (name: string) => string {
  const kept = new Map<string, string>()
  for (const name of names) {
    if (kept.size === max) break
    kept.set(name, labelValue(name))
  }
  return (name) => kept.get(name) ?? OTHER
}

/** The labels of the limits of a report: those that are listed come first. */
export function limitLabels({ limits, routes, stores }: Report): (name: string) => string {
  return capped([
    ...limits.map(({ name }) => name),
    ...routes.map(({ limit }) => limit),
    ...stores.map(({ limit }) => limit),
  ])
}

/** The labels of the routes of a report, given the limit and the route. */
export function routeLabels({ routes }: Report): (limit: string, route: string) => string {
  const idOf = (limit: string, route: string) => JSON.stringify([limit, route])
  const label = capped(
    routes.map(({ limit, route }) => idOf(limit, route)),
    MAX_ROUTES,
  )
  return (limit, route) => {
    const isOther = label(idOf(limit, route)) === OTHER
    return isOther ? OTHER : labelValue(route)
  }
}
