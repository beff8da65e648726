/*
 * The figures that rules compare, and what each is. docs/reference/alerts.md explains them: a test asks for each.
 */

/**
 * What a number says: `rate` a second, `share` of the requests (0 to 1), `state` 1 or 0, `ms` milliseconds, `count`
 * how many now.
 */
export type FigureUnit = 'rate' | 'share' | 'state' | 'ms' | 'count'

interface Figure {
  readonly unit: FigureUnit
  /** Whether single limiters have it, so that a rule may name one. */
  readonly isOfLimits: boolean
  /** `points`: summed from the series; `report`: from reports. */
  readonly from: 'points' | 'report'
}

const ofPoints = (unit: FigureUnit): Figure => ({ unit, isOfLimits: true, from: 'points' })
const ofReport = (unit: FigureUnit, isOfLimits = false): Figure => ({
  unit,
  isOfLimits,
  from: 'report',
})

/** The name of a figure. */
export type FigureName =
  | 'requests.rate'
  | 'admitted.rate'
  | 'denied.rate'
  | 'dry.rate'
  | 'waited.rate'
  | 'denied.share'
  | 'dry.share'
  | 'store.available'
  | 'shield.pressure'
  | 'shield.alarm'
  | 'shield.blocked'
  | 'config.stale'
  | 'evictions.rate'
  | 'decision.p99'
  | 'store.p99'
  | 'wait.p99'

/** Each figure by the name that rules have for it. */
export const FIGURES: Readonly<Record<FigureName, Figure>> = {
  'requests.rate': ofPoints('rate'),
  'admitted.rate': ofPoints('rate'),
  'denied.rate': ofPoints('rate'),
  'dry.rate': ofPoints('rate'),
  'waited.rate': ofPoints('rate'),
  'denied.share': ofPoints('share'),
  'dry.share': ofPoints('share'),
  'store.available': ofReport('state', true),
  'shield.pressure': ofReport('state'),
  'shield.alarm': ofReport('state'),
  'shield.blocked': ofReport('count'),
  'config.stale': ofReport('state'),
  'evictions.rate': ofReport('rate', true),
  'decision.p99': ofReport('ms'),
  'store.p99': ofReport('ms'),
  'wait.p99': ofReport('ms'),
}
