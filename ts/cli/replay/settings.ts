import { parseArgs } from 'node:util'
import type { Limit } from '../../limit/limit.ts'
import { readDuration, readLimits } from '../../limit/parse.ts'
import { type Algorithm, readAlgorithm } from '../../options.ts'
import { invalid, oneOf } from '../../validate.ts'
import { misusedOption } from '../command.ts'
import type { FieldNames } from './json-fields.ts'
import type { KeyKind } from './request-keys.ts'

/** What `ratethrottle replay` was asked for. */
export interface Settings {
  readonly files: readonly string[]
  /** Each to be tried by itself. */
  readonly trials: readonly TrialSettings[]
  readonly algorithm: Algorithm
  readonly burst: number | undefined
  readonly blockForMs: number
  /** As it was written: `ip`, `user`, `ip+path` or a field. */
  readonly key: string
  readonly keyKind: KeyKind
  readonly format: Format
  readonly fields: FieldNames
  /** Whether combined logs have the client in their last field. */
  readonly takesForwarded: boolean
  readonly pathPrefix: string
  readonly method: string
  readonly sinceMs: number
  readonly untilMs: number
  readonly top: number
  readonly clients: number
  readonly isJson: boolean
}

export interface TrialSettings {
  readonly text: string
  readonly limits: readonly Limit[]
}

const FORMATS = ['auto', 'combined', 'common', 'json'] as const

export type Format = (typeof FORMATS)[number]

/** The most limits that one run compares. */
const MAX_TRIALS = 8
export const MAX_FILES = 256
const FORWARDED = 'x-forwarded-for'

const WORDS = { type: 'string' } as const
const OPTIONS = {
  limits: { type: 'string', multiple: true },
  key: WORDS,
  algorithm: WORDS,
  burst: WORDS,
  'block-for': WORDS,
  format: WORDS,
  'time-field': WORDS,
  'ip-field': WORDS,
  'path-field': WORDS,
  'path-prefix': WORDS,
  method: WORDS,
  since: WORDS,
  until: WORDS,
  top: WORDS,
  clients: WORDS,
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/**
 * Reads the arguments behind `replay`.
 *
 * @returns undefined if help is asked for
 * @throws TypeError or RangeError that says what is wrong
 */
export function readSettings(args: string[], nowMs: number): Settings | undefined {
  const { values, positionals } = parsed(args)
  if (values.help === true || args.length === 0) return undefined
  const { key = 'ip', format = 'auto' } = values
  const isKind = key === 'ip' || key === 'user' || key === 'ip+path'
  return {
    files: readFiles(positionals),
    trials: readTrials(values.limits),
    algorithm: readAlgorithm(values.algorithm ?? 'token-bucket', '--algorithm'),
    burst: readWhole(values.burst, '--burst', 1, 1_000_000_000),
    blockForMs: values['block-for'] === undefined ? 0 : readAge(values['block-for'], '--block-for'),
    key,
    keyKind: isKind ? key : 'user',
    format: oneOf(format, '--format', FORMATS),
    fields: {
      ...given('time', values['time-field']),
      ...given('client', values['ip-field']),
      ...given('path', values['path-field']),
      ...given('user', isKind ? undefined : key),
    },
    takesForwarded: values['ip-field']?.toLowerCase() === FORWARDED,
    pathPrefix: values['path-prefix'] ?? '',
    method: values.method?.toUpperCase() ?? '',
    sinceMs: readTimeOption(values.since, '--since', nowMs, 0),
    untilMs: readTimeOption(values.until, '--until', nowMs, Number.POSITIVE_INFINITY),
    top: readWhole(values.top, '--top', 1, 1_000) ?? 20,
    clients: readWhole(values.clients, '--clients', 1, 4_194_304) ?? 262_144,
    isJson: values.json === true,
  }
}

/** @throws TypeError that names an option that there is not, and the one that was likely meant */
function parsed(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new TypeError(misusedOption(error, Object.keys(OPTIONS)))
  }
}

function given(role: keyof FieldNames, name: string | undefined): FieldNames {
  return name === undefined ? {} : { [role]: name }
}

function readFiles(files: readonly string[]): readonly string[] {
  if (files.length >= 1 && files.length <= MAX_FILES) return files
  const accepted = `1 to ${MAX_FILES} logs, "-" for standard input`
  throw invalid(RangeError, 'INVALID_ARGUMENT', 'the files', accepted, files.length)
}

function readTrials(texts: readonly string[] | undefined): readonly TrialSettings[] {
  const accepted = `given 1 to ${MAX_TRIALS} times, such as --limits "100/minute"`
  if (texts === undefined || texts.length > MAX_TRIALS) {
    throw invalid(RangeError, 'INVALID_ARGUMENT', '--limits', accepted, texts?.length)
  }
  return texts.map((text) => ({ text, limits: readLimits(text, '--limits') }))
}

function readWhole(
  text: string | undefined,
  name: string,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const accepted = `a whole number from ${min} to ${max}`
  throw invalid(RangeError, 'INVALID_ARGUMENT', name, accepted, text)
}

/** `90 days`, `10m`. */
function readAge(text: string, name: string): number {
  return readDuration(text, name)
}

/** A time as ISO 8601 writes it, or how long ago: `24h`. */
function readTimeOption(
  text: string | undefined,
  name: string,
  nowMs: number,
  absent: number,
): number {
  if (text === undefined) return absent
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const hasZone = /(Z|[+-]\d\d:?\d\d)$/i.test(text)
    const time = Date.parse(hasZone || text.length === 10 ? text : `${text}Z`)
    if (time >= 0) return time
  } else {
    try {
      return nowMs - readDuration(text, name)
    } catch {
      // The message below says both forms.
    }
  }
  const accepted = 'a time such as 2026-11-30T12:00Z, or an age such as 24h'
  throw invalid(RangeError, 'INVALID_ARGUMENT', name, accepted, text)
}
