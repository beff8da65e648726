/* How numbers and times are written. The page is in English; times are those of the reader's clock. */

const NUMBER = new Intl.NumberFormat('en')
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const SHARE = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 })
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const SECONDS = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
/** Numbers from here on are shortened where there is little room. */
const MANY = 100_000

export function number(value: number): string {
  return NUMBER.format(value)
}

export function shortNumber(value: number): string {
  return value < MANY ? NUMBER.format(value) : SHORT.format(value)
}

/** A part of a whole. What is neither nothing nor all is never written as 0 % or 100 %. */
export function share(part: number, whole: number): string {
  if (whole === 0) return '0%'
  const value = part / whole
  if (part > 0 && value < 0.001) return 'under 0.1%'
  if (part < whole && value > 0.999) return 'over 99.9%'
  return SHARE.format(value)
}

export function milliseconds(ms: number): string {
  if (ms === 0) return '0'
  if (ms < 0.001) return `${Math.max(1, Math.round(ms * 1_000_000))} ns`
  if (ms < 1) return `${Number((ms * 1000).toPrecision(2))} µs`
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`
}

/** How long something still lasts, in one unit. */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.ceil(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.ceil(seconds / 3600)} h`
  return `${Math.ceil(seconds / 86_400)} days`
}

/** A step's length, in words that follow "per". */
export function perStep(ms: number): string {
  if (ms < 60_000) return ms === 1000 ? 'second' : `${ms / 1000} seconds`
  if (ms < 3_600_000) return ms === 60_000 ? 'minute' : `${ms / 60_000} minutes`
  return ms === 3_600_000 ? 'hour' : `${ms / 3_600_000} hours`
}

/** When something happened, as exactly as a step of this length needs it. */
export function moment(at: number, stepMs: number): string {
  if (stepMs < 60_000) return SECONDS.format(at)
  return stepMs < 3_600_000 ? CLOCK.format(at) : `${DAY.format(at)}, ${CLOCK.format(at)}`
}

/** The same below an axis, where there is little room. */
export function axisMoment(at: number, stepMs: number): string {
  return stepMs < 3_600_000 ? CLOCK.format(at) : DAY.format(at)
}
