/*
 * Counts the tokens of a document's text before any parser sees it: in one pass, and only as far as the bound.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const HASH = 0x23
const DOT = 0x2e
const LINE_FEED = 0x0a
const RETURN = 0x0d

/**
 * How many tokens a text has, as graphql-js counts them for its own `maxTokens`: comments, commas and blanks are none.
 *
 * @param most stops there: the answer is then `most + 1`
 */
export function countTokens(text: string, most: number): number {
  let count = 0
  let at = 0
  while (at < text.length && count <= most) {
    const code = text.charCodeAt(at)
    if (isIgnored(code)) at++
    else if (code === HASH) at = endOfLine(text, at)
    else {
      count++
      at = endOfToken(text, at, code)
    }
  }
  return count
}

function endOfToken(text: string, at: number, code: number): number {
  if (code === QUOTE)
    return text.startsWith('"""', at) ? endOfBlock(text, at + 3) : endOfString(text, at + 1)
  if (code === DOT) return text.startsWith('...', at) ? at + 3 : at + 1
  if (!isOfWord(code)) return at + 1
  const belongs = isOfName(code) && !isDigit(code) ? isOfName : isOfNumber
  let end = at + 1
  while (end < text.length && belongs(text.charCodeAt(end))) end++
  return end
}

/** Without an end the text is no document: what is left of it is one token, and the parser refuses it. */
function endOfBlock(text: string, from: number): number {
  let end = text.indexOf('"""', from)
  while (end > 0 && text.charCodeAt(end - 1) === BACKSLASH && end > from) {
    end = text.indexOf('"""', end + 3)
  }
  return end < 0 ? text.length : end + 3
}

function endOfString(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === BACKSLASH) at++
    else if (code === QUOTE) return at + 1
    else if (code === LINE_FEED || code === RETURN) return at
  }
  return text.length
}

function endOfLine(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charCodeAt(at) !== LINE_FEED && text.charCodeAt(at) !== RETURN)
    at++
  return at
}

/** Blanks, line ends, commas and the byte order mark. */
function isIgnored(code: number): boolean {
  return code === 0x20 || code === 0x2c || (code >= 0x09 && code <= 0x0d) || code === 0xfeff
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** Letters, digits and `_`. */
function isOfName(code: number): boolean {
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
  return isLetter || isDigit(code) || code === 0x5f
}

function isOfWord(code: number): boolean {
  return isOfName(code) || code === 0x2d
}

/** `-1.5e+3`, and whatever else has these letters in it. */
function isOfNumber(code: number): boolean {
  return (
    isDigit(code) ||
    code === DOT ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x45 ||
    code === 0x65
  )
}
