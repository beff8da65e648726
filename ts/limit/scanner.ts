import { InvalidLimit } from '../errors.ts'

/**
 * A text and how far it has been read. Every method moves forward only, so whatever is built from them
 * takes time linear in the text's length.
 *
 * Characters are ASCII: a letter, digit or space of any other script is none of these here.
 */
export class Scanner {
  readonly #text: string
  readonly #name: string
  #position = 0

  /**
   * @param text what to read
   * @param name what the text was given as, for the messages
   */
  constructor(text: string, name: string) {
    this.#text = text
    this.#name = name
  }

  /** 0-based index of the next character; the text's length at the end. */
  get position(): number {
    return this.#position
  }

  /** The next character, or `''` at the end. */
  get next(): string {
    return this.#text.charAt(this.#position)
  }

  /** Moves past the next character if it is one of `characters`, and says whether it did. */
  skip(characters: string): boolean {
    // Every string includes the empty one, which is what `next` is at the end.
    const found = this.next !== '' && characters.includes(this.next)
    if (found) this.#position++
    return found
  }

  /** Moves past spaces and tabs, and says whether there were any. */
  skipBlanks(): boolean {
    const start = this.#position
    while (this.skip(' \t')) {}
    return this.#position > start
  }

  /** Takes the letters that come next, none if there are none. */
  takeWord(): string {
    return this.#takeWhile(isLetter)
  }

  /** Takes the digits that come next, none if there are none. */
  takeDigits(): string {
    return this.#takeWhile(isDigit)
  }

  /**
   * Refuses the text.
   *
   * @param expected what is accepted, in words
   * @param position where. Default: here
   */
  fail(expected: string, position: number = this.#position): never {
    throw new InvalidLimit(this.#text, position, expected, this.#name)
  }

  #takeWhile(belongs: (unit: number) => boolean): string {
    const start = this.#position
    // charCodeAt is NaN past the end, which belongs to nothing.
    while (belongs(this.#text.charCodeAt(this.#position))) this.#position++
    return this.#text.slice(start, this.#position)
  }
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}

function isLetter(unit: number): boolean {
  const lower = unit | 0x20
  return lower >= 0x61 && lower <= 0x7a
}
