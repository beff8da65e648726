// Literal figures and not products: the declaration of UnitName is made from them.
const UNIT_MS = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1_000,
  sec: 1_000,
  secs: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  min: 60_000,
  mins: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hrs: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
  weeks: 604_800_000,
  month: 2_592_000_000,
  months: 2_592_000_000,
  year: 31_536_000_000,
  years: 31_536_000_000,
} as const

/** Every spelling of a unit of time, in lower case. `m` is a minute, a month is 30 days, a year 365 days. */
export type UnitName = keyof typeof UNIT_MS

/** The units as an error message lists them, one spelling each. */
export const UNITS_IN_WORDS = 'ms, s, min, h, d, w, month or year'

// A Map, because an object would also answer to "constructor" and "__proto__".
const msByName: ReadonlyMap<string, number> = new Map(Object.entries(UNIT_MS))

/**
 * Length of a unit in milliseconds, or `undefined` for a word that is no unit.
 *
 * @param word ASCII letters, in any case
 */
export function unitMs(word: string): number | undefined {
  return msByName.get(word.toLowerCase())
}
