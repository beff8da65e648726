import {
  BACKSLASH,
  DASH,
  type Entry,
  type Flaw,
  MAX_LINE,
  placeOf,
  readRequestLine,
  readTarget,
} from './entry.ts'
import { type Field, type FieldNames, fieldsOf, ROLES } from './json-fields.ts'
import { JsonScanner } from './json-scanner.ts'
import { readTime } from './log-time.ts'

const TIME: number = ROLES.indexOf('time')
const USER: number = ROLES.indexOf('user')
const NONE = 1_000

/** A value that was found: the best of its role so far. */
interface Value {
  rank: number
  from: number
  to: number
}

/** Reads lines that are JSON objects. Of several values of one field the last counts, as in `JSON.parse`. */
export class JsonReader {
  readonly #scanner: JsonScanner
  readonly #values: Value[] = ROLES.map(() => ({ rank: NONE, from: 0, to: 0 }))
  /** Where values are written if one of them has escapes: decoded they are no longer than the line. */
  readonly #copy: Buffer = Buffer.allocUnsafe(2 * MAX_LINE)
  #bytes: Buffer = this.#copy

  constructor(names: FieldNames) {
    this.#scanner = new JsonScanner(fieldsOf(names), (field, from, to, isText) =>
      this.#keep(field, from, to, isText),
    )
  }

  read(bytes: Buffer, from: number, to: number, entry: Entry): Flaw | undefined {
    for (const value of this.#values) value.rank = NONE
    this.#bytes = bytes
    if (!this.#scanner.scan(bytes, from, to)) return 'json'
    if (this.#values.some((value) => this.#hasEscape(value))) this.#decode()
    entry.clear(this.#bytes)
    return this.#fill(entry)
  }

  #keep(field: Field, from: number, to: number, isText: boolean): void {
    const value = this.#values[field.role] as Value
    if (field.rank > value.rank) return
    // A number is a time or a user.
    if (!isText && field.role !== TIME && field.role !== USER) return
    if (from === to || (to - from === 1 && this.#bytes[from] === DASH)) return
    value.rank = field.rank
    value.from = from
    value.to = to
  }

  #hasEscape({ rank, from, to }: Value): boolean {
    return rank !== NONE && placeOf(BACKSLASH, this.#bytes, from, to) < to
  }

  /** Copies the values, those with escapes as what they say. */
  #decode(): void {
    let at = 0
    for (const value of this.#values) {
      if (value.rank === NONE) continue
      const { from, to } = value
      value.from = at
      if (placeOf(BACKSLASH, this.#bytes, from, to) < to) {
        const text = JSON.parse(`"${this.#bytes.toString('utf8', from, to)}"`) as string
        at += this.#copy.write(text, at)
      } else at += this.#bytes.copy(this.#copy, at, from, to)
      value.to = at
    }
    this.#bytes = this.#copy
  }

  #fill(entry: Entry): Flaw | undefined {
    const bytes = this.#bytes
    const [time, client, user, method, path, request] = this.#values as Values
    if (path.rank !== NONE) {
      if (!readTarget(bytes, path.from, path.to, entry)) return 'request'
      if (method.rank !== NONE) {
        entry.methodFrom = method.from
        entry.methodTo = method.to
      }
    } else {
      const isLine =
        request.rank !== NONE && readRequestLine(bytes, request.from, request.to, entry)
      if (!isLine) return 'request'
    }
    if (client.rank !== NONE) {
      entry.clientFrom = client.from
      entry.clientTo = client.to
    }
    if (user.rank !== NONE) {
      entry.userFrom = user.from
      entry.userTo = user.to
    }
    entry.timeMs = time.rank === NONE ? Number.NaN : readTime(bytes, time.from, time.to)
    return entry.timeMs >= 0 ? undefined : 'time'
  }
}

type Values = [time: Value, client: Value, user: Value, method: Value, path: Value, request: Value]
