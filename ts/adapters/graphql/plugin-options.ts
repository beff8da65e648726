import {
  type GateOptions,
  type ReadGateOptions,
  readGateOptions,
} from '../../calls/gate-options.ts'
import { refuseIdleCallOptions } from '../../calls/options.ts'
import * as validate from '../../validate.ts'
import type { Operation } from './operation.ts'
import { COST_READERS, type CostOptions } from './options.ts'
import type { WeighOptions } from './weigh.ts'

/** What becomes of the units that an operation was charged and did not use. */
export type Refund = 'actual' | 'none'

/** Options of {@link plugin}: those of a limiter, and how operations are counted. */
export interface PluginOptions extends GateOptions<Operation>, CostOptions {
  /** Refuses an operation that may cost more, from 1 on. Default: no bound but the limits. */
  readonly maxCost?: number | undefined
  /** Refuses an operation that nests its fields deeper, from 1 on. Default: no bound. */
  readonly maxDepth?: number | undefined
  /** Refuses a document of more tokens before it is parsed, from 1 to 100,000. Default: 1,000. */
  readonly maxTokens?: number | undefined
  /** Refuses a document of more characters before it is read, from 1 to 10,000,000. Default: 20,000. */
  readonly maxCharacters?: number | undefined
  /** `'actual'`: gives back what an operation was charged and did not use. Default: `'none'`. */
  readonly refund?: Refund | undefined
  /** Names of operations that an insight may show: those of your own clients. Default: none. */
  readonly operations?: readonly string[] | undefined
  /** The client's address, where the context has no request of node:http. */
  readonly address?: ((context: never) => string | undefined) | undefined
}

/** The options that are read here. */
export interface OwnOptions extends WeighOptions {
  readonly maxCost: number | undefined
  readonly maxDepth: number | undefined
  readonly maxTokens: number
  readonly maxCharacters: number
  readonly refund: Refund
  readonly operations: readonly string[]
  readonly address: ((context: object) => unknown) | undefined
}

const MOST_NAMES = 10_000

const READERS: validate.Readers<OwnOptions> = {
  ...COST_READERS,
  maxCost: validate.optional((value, name) =>
    validate.integer(value, name, 1, Number.MAX_SAFE_INTEGER),
  ),
  maxDepth: validate.optional((value, name) => validate.integer(value, name, 1, 1_000_000)),
  maxTokens: (value, name) => validate.integer(value ?? 1_000, name, 1, 100_000),
  maxCharacters: (value, name) => validate.integer(value ?? 20_000, name, 1, 10_000_000),
  refund: (value, name) => validate.oneOf(value ?? 'none', name, ['actual', 'none']),
  operations: (value = [], name) => readNames(value, name),
  address: validate.optionalFunction,
}

function readNames(value: unknown, name: string): readonly string[] {
  const isList = Array.isArray(value) && value.length <= MOST_NAMES
  if (isList && value.every((one) => typeof one === 'string' && /^[_A-Za-z]\w{0,127}$/.test(one))) {
    return [...value]
  }
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'a list of names of operations', value)
}

/** {@link PluginOptions} that have been checked. */
export interface ReadPluginOptions {
  readonly gate: ReadGateOptions
  readonly own: OwnOptions
  /** What a limiter is to be opened with; `undefined` where only cost or depth are bounded. */
  readonly limits: Pick<PluginOptions, 'limits' | 'concurrent'> | undefined
}

/** What bounds something, of which there must be one. */
const BOUNDS = ['limits', 'concurrent', 'storage', 'maxCost', 'maxDepth', 'shield'] as const

/** @throws TypeError or RangeError that names the option, its value and what is accepted */
export function readPluginOptions(options: PluginOptions): ReadPluginOptions {
  const gate = readGateOptions(options, Object.keys(READERS))
  const given = gate.own as PluginOptions
  const own = validate.readEach<OwnOptions>(given, READERS)
  const { limits, concurrent, storage } = given
  // `limits: undefined` is a setting that is missing: the server would have no limit without a word about it.
  const isMissing =
    Object.hasOwn(given, 'limits') && limits === undefined && concurrent === undefined
  const hasLimits = limits !== undefined || concurrent !== undefined || typeof storage === 'object'
  if (!hasLimits && (isMissing || !BOUNDS.some((name) => given[name] !== undefined))) {
    const accepted =
      'a limit or an array of them, or left out beside concurrent, maxCost or maxDepth'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, limits)
  }
  if (limits === undefined && typeof storage !== 'object') refuseIdleCallOptions(options, 'limits')
  return { gate, own, limits: hasLimits ? { limits, concurrent } : undefined }
}
