import type { Clock } from '../../clock.ts'
import { readDuration } from '../../limit/parse.ts'
import { readClock } from '../../options.ts'
import * as validate from '../../validate.ts'
import type { Figures } from '../types.ts'
import { readStorage } from './claims.ts'
import { type Rule, readRule } from './rule.ts'
import type { AlertChannel, AlertsOptions, NotifyFunction } from './types.ts'

const MAX_RULES = 100
const MAX_CHANNELS = 16
const [DEFAULT_COOLDOWN_MS, MAX_COOLDOWN_MS] = [300_000, 86_400_000]
const MAX_NAME_LENGTH = 64

/** Options that were read. */
export interface Settings {
  readonly rules: readonly Rule[]
  readonly notify: readonly (AlertChannel | NotifyFunction)[]
  readonly cooldown: number
  readonly name: string
  readonly storage: unknown
  readonly keyPrefix: string | undefined
  readonly host: string
  readonly clock: Clock | undefined
  readonly insight: Figures | undefined
}

const READERS: validate.Readers<Settings> = {
  rules: readRules,
  notify: readChannels,
  cooldown: readCooldown,
  name: (value = 'ratethrottle', name) => validate.text(value, name, 1, MAX_NAME_LENGTH),
  storage: readStorage,
  keyPrefix: validate.optional((value, name) => validate.text(value, name, 0, 256)),
  host: (value, name) =>
    value === undefined
      ? process.getBuiltinModule('node:os').hostname().slice(0, 253)
      : validate.text(value, name, 1, 253),
  clock: validate.optional(readClock),
  insight: validate.optional(readFigures),
}

/** Checks options, and fills in the defaults. */
export function readAlertsOptions(options: AlertsOptions): Settings {
  return validate.readOptions<Settings>(options, READERS)
}

function readRules(value: unknown, name: string): readonly Rule[] {
  const accepted = `an array of 1 to ${MAX_RULES} rules`
  if (!Array.isArray(value)) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
  }
  if (value.length === 0 || value.length > MAX_RULES) {
    throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
  }
  const rules = Array.from(value, (rule, i) => readRule(rule, `${name}[${i}]`))
  const twice = rules.findIndex(({ hash }, i) => rules.findIndex((r) => r.hash === hash) < i)
  if (twice < 0) return rules
  const once = 'a rule that is not there yet, or one with another name'
  throw validate.invalid(RangeError, 'INVALID_OPTION', `${name}[${twice}]`, once, value[twice])
}

function readChannels(value: unknown, name: string): readonly (AlertChannel | NotifyFunction)[] {
  const list: readonly unknown[] = Array.isArray(value) ? [...value] : [value]
  const isChannel = (one: unknown): one is AlertChannel | NotifyFunction =>
    typeof one === 'function' ||
    (typeof one === 'object' && one !== null && 'send' in one && typeof one.send === 'function')
  if (list.length > 0 && list.length <= MAX_CHANNELS && list.every(isChannel)) return list
  const accepted = `webhook(...), slack(...), a function, or an array of 1 to ${MAX_CHANNELS} of these`
  // A URL of a webhook is a secret.
  const shown = typeof value === 'string' ? 'a text (it is not shown)' : validate.printable(value)
  const message = `${name} must be ${accepted}, got ${shown}`
  throw validate.withCode(new TypeError(message), 'INVALID_OPTION')
}

function readCooldown(value: unknown, name: string): number {
  if (value === 0) return 0
  const ms = value === undefined ? DEFAULT_COOLDOWN_MS : readDuration(value, name)
  if (ms <= MAX_COOLDOWN_MS) return ms
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, '0, or at most 24 hours', value)
}

/** Checks that it is what shows figures. */
export function readFigures(value: unknown, name: string): Figures {
  const figures = value as Partial<Figures> | null | undefined
  const isOne = typeof figures?.report === 'function' && typeof figures.series === 'function'
  if (isOne) return figures as Figures
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'an insight: insight()', value)
}
