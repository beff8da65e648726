const SLOTS = 16_384
const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** The slot of Redis Cluster that a name belongs to: CRC16/XMODEM of what stands in its braces. */
export function slotOf(name: string): number {
  let crc = 0
  for (const byte of Buffer.from(tagIn(name))) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] as number)
  }
  return crc % SLOTS
}

/** What stands in a name's braces, or the whole name. */
export function tagIn(name: string): string {
  const open = name.indexOf('{')
  const close = name.indexOf('}', open + 1)
  return open < 0 || close <= open + 1 ? name : name.slice(open + 1, close)
}
