import { MAX_LINE } from './entry.ts'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** What is done with each line. The bytes are valid during the call only. */
export interface LineSink {
  line(bytes: Buffer, from: number, to: number): void
  /** A line that is longer than {@link MAX_LINE}. */
  long(): void
}

/**
 * Cuts chunks into lines. Of a line that goes on in the next chunk it keeps at most {@link MAX_LINE} bytes.
 */
export class LineCutter {
  readonly #sink: LineSink
  readonly #kept: Buffer = Buffer.allocUnsafe(MAX_LINE + 1)
  #length = 0
  /** Whether the line that goes on is too long already. */
  #isLong = false
  #isFirst = true

  constructor(sink: LineSink) {
    this.#sink = sink
  }

  /** Takes the next chunk, and hands on each line that it ends. */
  push(chunk: Buffer): void {
    let from = this.#isFirst ? lengthOfMark(chunk) : 0
    this.#isFirst = false
    let end = chunk.indexOf(LINE_FEED, from)
    if (end >= 0 && (this.#length > 0 || this.#isLong)) {
      this.#keep(chunk, from, end)
      this.end()
      from = end + 1
      end = chunk.indexOf(LINE_FEED, from)
    }
    while (end >= 0) {
      this.#hand(chunk, from, end)
      from = end + 1
      end = chunk.indexOf(LINE_FEED, from)
    }
    this.#keep(chunk, from, chunk.length)
  }

  /** Hands on what stands behind the last line feed. */
  end(): void {
    if (this.#isLong) this.#sink.long()
    else if (this.#length > 0) this.#hand(this.#kept, 0, this.#length)
    this.#length = 0
    this.#isLong = false
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (this.#length + to - from > MAX_LINE + 1) this.#isLong = true
    if (!this.#isLong) this.#length += chunk.copy(this.#kept, this.#length, from, to)
  }

  #hand(bytes: Buffer, from: number, to: number): void {
    const end = to > from && bytes[to - 1] === CARRIAGE_RETURN ? to - 1 : to
    if (end - from > MAX_LINE) this.#sink.long()
    else this.#sink.line(bytes, from, end)
  }
}

/** Length of the mark that some programs put before UTF-8. */
function lengthOfMark(chunk: Buffer): number {
  return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0
}
