import { canonical, MAX_ADDRESS_LENGTH } from './ip.ts'

/** Most hops that are looked at, from the right. Real chains have one to five. */
export const MAX_HOPS = 64
/** Longest hop that is looked at, in UTF-16 code units; the longest real one, `[IPv6]:port`, has 53. */
export const MAX_HOP_LENGTH: number = MAX_ADDRESS_LENGTH

/** Digits, or what RFC 7239 calls an obfuscated port. */
const PORT = /^(?:\d{1,5}|_[\w.-]{1,63})$/

/**
 * The address in one entry of a forwarded header, without its optional port and brackets: `1.2.3.4`,
 * `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
 *
 * @param text one entry, blanks around it removed, however long or hostile
 * @returns the canonical address, or undefined if the entry is anything else. So is one with a zone: a zone
 * means something on the machine that wrote it only, and the sender could vary it at will
 */
export function hopAddress(text: string): string | undefined {
  if (text.length > MAX_HOP_LENGTH || text.includes('%')) return undefined
  if (text.startsWith('[')) return bracketed(text)
  const colon = text.indexOf(':')
  // Several colons are an IPv6 address. Without brackets its last group could not be told from a port.
  if (colon === -1 || text.includes(':', colon + 1)) return canonical(text)
  return PORT.test(text.slice(colon + 1)) ? canonical(text.slice(0, colon)) : undefined
}

function bracketed(text: string): string | undefined {
  const end = text.indexOf(']')
  const address = text.slice(1, end)
  if (end === -1 || !address.includes(':')) return undefined
  return isPortOrNothing(text.slice(end + 1)) ? canonical(address) : undefined
}

function isPortOrNothing(text: string): boolean {
  return text === '' || (text.startsWith(':') && PORT.test(text.slice(1)))
}

/** Removes the blanks that HTTP allows around an entry: spaces and tabs, no others. */
export function withoutBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
