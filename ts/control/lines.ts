/** Most bytes of a request's line. */
export const MAX_REQUEST: number = 65_536
/** Most bytes of an answer's line: a report of 64 limits with all their keys takes a tenth of it. */
export const MAX_ANSWER: number = 16_777_216

const NEWLINE = 0x0a

/** Cuts what a socket receives into lines, of which none may be longer than `max` bytes. */
export class Lines {
  readonly #max: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(max: number) {
    this.#max = max
  }

  /** The lines that end in this chunk; `undefined` when one is too long: the rest of them means nothing then. */
  take(chunk: Buffer): string[] | undefined {
    const lines: string[] = []
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      this.#add(chunk.subarray(from, end))
      if (this.#bytes > this.#max) return undefined
      lines.push(Buffer.concat(this.#parts).toString())
      this.#parts = []
      this.#bytes = 0
      from = end + 1
    }
    this.#add(chunk.subarray(from))
    return this.#bytes > this.#max ? undefined : lines
  }

  #add(part: Buffer): void {
    if (part.length === 0) return
    this.#parts.push(part)
    this.#bytes += part.length
  }
}
