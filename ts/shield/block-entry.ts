import { addressKey, canonical } from '../client-ip/ip.ts'

/** What another process has noted about a source. Times are of the server's clock, in milliseconds. */
export interface BlockEntry {
  readonly isPardon: boolean
  readonly begunMs: number
  readonly endsMs: number
  readonly source: string
}

/** Kind, beginning, end and source. */
const ENTRY = /^([bp]) (\d{1,16}) (\d{1,16}) ([\da-f.:/]{2,45})$/

/** Reads an entry. `undefined` for what is none: the store, and who writes to it, may be hostile. */
export function readEntry(text: string): BlockEntry | undefined {
  const [, kind, begun, ends, source = ''] = ENTRY.exec(text) ?? []
  const network = source.endsWith('/64') ? source.slice(0, -3) : source
  if (kind === undefined || sourceOf(network) !== source) return undefined
  return { isPardon: kind === 'p', begunMs: Number(begun), endsMs: Number(ends), source }
}

/** The source that an address belongs to, in its one spelling: an IPv4 address, or a /64. `undefined` for no address. */
export function sourceOf(ip: string): string | undefined {
  const address = canonical(ip)
  return address === undefined ? undefined : addressKey(address)
}
