import { printable } from '../validate.ts'

/** Longest part of an error's message that is shown. */
const MAX_LENGTH = 200
/** How much of a message is looked at, however long it is. */
const MAX_READ = 2_000

/** What an error's message may have of clients and stores, and an operator's log must not. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  // Before the host of a URL: a user and a password.
  [/\/\/[^\s/@]*@/g, '//[credentials]@'],
  [/\b(bearer|basic|token|password|secret|api[-_ ]?key)(["':=\s]+)\S+/gi, '$1$2[secret]'],
  // Such as a token, a hash or a key that was made by chance: names of that length have no digits.
  [/\b(?=[\w-]*\d)[\w-]{24,}(\.[\w-]+)*/g, '[secret]'],
  [/\b\d{1,3}(\.\d{1,3}){3}\b(:\d+)?/g, '[address]'],
  [/(?<![\w:])(?:[\da-f]{0,4}:){2,7}[\da-f]{0,4}(?:%\w+)?(?![\w:])/gi, '[address]'],
]

/**
 * An error in words, for a log: its name, its code and its message, in printable ASCII and bounded. Never throws.
 *
 * The message may be that of an error of a user's function, so what looks like a secret or an address is left out.
 */
export function reasonOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return clean(`${printable(error)} was thrown`)
    const { name, message } = error
    const { code } = error as { readonly code?: unknown }
    const shown = typeof code === 'string' ? `${name} [${code}]` : name
    return `${clean(shown)}: ${clean(message)}`
  } catch {
    return 'an error that can not be read was thrown'
  }
}

function clean(text: string): string {
  let shown = String(text).slice(0, MAX_READ)
  for (const [secret, instead] of SECRETS) shown = shown.replace(secret, instead)
  const ascii = shown.replace(/[^\x20-\x7e]+/g, ' ')
  return ascii.length > MAX_LENGTH ? `${ascii.slice(0, MAX_LENGTH - 3)}...` : ascii
}
