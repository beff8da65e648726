import { readCombined } from './combined.ts'
import { Entry, type Flaw } from './entry.ts'
import type { InOrder } from './in-order.ts'
import { JsonReader } from './json-line.ts'
import type { KeyTable } from './key-table.ts'
import { LineCutter, type LineSink } from './lines.ts'
import type { Place, RequestKeys } from './request-keys.ts'
import type { Settings } from './settings.ts'

/** Lines of one flaw: how many, and where the first ones stand. */
export interface FlawCount {
  lines: number
  readonly first: string[]
}

/** Places that are named of each flaw. */
const NAMED = 3
const OPEN_OBJECT = 0x7b

/** What was read, of all logs together. */
export class LineCounts {
  lines = 0
  /** Outside of what `--since`, `--until`, `--method` and `--path-prefix` ask for. */
  leftOut = 0
  /** Without a user, or the field that is the key: no limiter would count them. */
  withoutKey = 0
  readonly flaws: Map<Flaw, FlawCount> = new Map()

  flaw(flaw: Flaw, name: string, line: number): void {
    const found = this.flaws.get(flaw) ?? { lines: 0, first: [] }
    this.flaws.set(flaw, found)
    found.lines++
    if (found.first.length < NAMED) found.first.push(`${name} line ${line}`)
  }

  /** Lines that are not counted, and why. */
  get unreadable(): number {
    let sum = 0
    for (const { lines } of this.flaws.values()) sum += lines
    return sum
  }
}

/** What all logs of a run share. */
export interface Counting {
  readonly settings: Settings
  readonly clients: KeyTable
  readonly routes: KeyTable
  readonly inOrder: InOrder
  readonly counts: LineCounts
  readonly keys: RequestKeys
  readonly lines: LineParser
}

/** Reads lines of any of the formats. */
export class LineParser {
  readonly entry: Entry = new Entry()
  readonly #json: JsonReader
  readonly #format: Settings['format']
  readonly #takesForwarded: boolean

  constructor({ format, fields, takesForwarded }: Settings) {
    this.#json = new JsonReader(fields)
    this.#format = format
    this.#takesForwarded = takesForwarded
  }

  /** Reads a line into the entry. */
  parse(bytes: Buffer, from: number, to: number): Flaw | undefined {
    const isJson = bytes[from] === OPEN_OBJECT
    if (this.#format === 'json' ? true : isJson && this.#format === 'auto') {
      return isJson ? this.#json.read(bytes, from, to, this.entry) : 'format'
    }
    return readCombined(bytes, from, to, this.entry, this.#takesForwarded)
  }
}

/** Reads one log: cuts it into lines, and puts the requests of those that are asked for in order. */
export class LogReader implements LineSink {
  /** The time of the last request that was read. */
  lastMs = 0
  readonly #name: string
  readonly #counting: Counting
  readonly #cutter: LineCutter = new LineCutter(this)
  readonly #method: Buffer
  readonly #prefix: Buffer
  #line = 0

  constructor(name: string, counting: Counting) {
    this.#name = name
    this.#counting = counting
    this.#method = Buffer.from(counting.settings.method)
    this.#prefix = Buffer.from(counting.settings.pathPrefix)
  }

  push(chunk: Buffer): void {
    this.#cutter.push(chunk)
  }

  end(): void {
    this.#cutter.end()
  }

  long(): void {
    this.#line++
    this.#counting.counts.lines++
    this.#flaw('long')
  }

  line(bytes: Buffer, from: number, to: number): void {
    this.#line++
    if (from === to) return
    const { counts, lines } = this.#counting
    counts.lines++
    const flaw = lines.parse(bytes, from, to)
    if (flaw !== undefined) {
      this.#flaw(flaw)
      return
    }
    this.lastMs = lines.entry.timeMs
    if (this.#isAsked(lines.entry)) this.#hand(lines.entry)
    else counts.leftOut++
  }

  #flaw(flaw: Flaw): void {
    this.#counting.counts.flaw(flaw, this.#name, this.#line)
  }

  #hand(entry: Entry): void {
    const { settings, clients, routes, inOrder, counts, keys } = this.#counting
    const key = keys.key(entry)
    if (key === undefined) {
      if (settings.keyKind === 'user') counts.withoutKey++
      else this.#flaw('client')
      return
    }
    const slot = clients.find(key.bytes, key.from, key.to)
    const keyText = textOf(clients, slot, key)
    const route = keys.route(entry)
    const routeSlot = routes.find(route.bytes, route.from, route.to)
    inOrder.push(entry.timeMs, slot, keyText, routeSlot, textOf(routes, routeSlot, route))
  }

  #isAsked(entry: Entry): boolean {
    const { sinceMs, untilMs } = this.#counting.settings
    if (entry.timeMs < sinceMs || entry.timeMs >= untilMs) return false
    const { bytes, methodFrom, methodTo, pathFrom, pathTo } = entry
    const method = this.#method
    if (method.length > 0 && method.compare(bytes, methodFrom, methodTo) !== 0) return false
    return this.#prefix.length === 0 || this.#startsWithPrefix(bytes, pathFrom, pathTo)
  }

  /** `/api` stands for `/api` and what is below it, not for `/apiary`. */
  #startsWithPrefix(bytes: Buffer, from: number, to: number): boolean {
    const prefix = this.#prefix
    const end = from + prefix.length
    if (end > to || prefix.compare(bytes, from, end) !== 0) return false
    return end === to || bytes[end] === 0x2f || prefix[prefix.length - 1] === 0x2f
  }
}

/** The key at a slot; of one that has none, the text itself. */
function textOf(table: KeyTable, slot: number, { bytes, from, to }: Place): string {
  return table.keys[slot] ?? bytes.toString('latin1', from, to)
}

/** The time of the first request in a chunk; 0 if there is none. */
export function firstTime(chunk: Buffer, parser: LineParser): number {
  let first = 0
  const cutter = new LineCutter({
    long: () => {},
    line: (bytes, from, to) => {
      if (first === 0 && parser.parse(bytes, from, to) === undefined) first = parser.entry.timeMs
    },
  })
  cutter.push(chunk)
  return first
}
