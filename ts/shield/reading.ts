import type { Level, ShieldState, TopSource } from './types.ts'

/** Of a shield that is off. */
export const NO_STATE: ShieldState = Object.freeze({
  pressure: false,
  alarm: false,
  admitted: 0,
  refused: 0,
  wouldRefuse: 0,
  newcomerShare: 1,
  blocked: 0,
  evictions: 0,
})

/** What the core has written about what it sees. */
export function readState(numbers: ArrayLike<number>): ShieldState {
  const [flags = 0, admitted = 0, refused = 0, wouldRefuse = 0, newcomerShare = 1, blocked = 0] =
    Array.from(numbers)
  return {
    pressure: (flags & 1) !== 0,
    alarm: (flags & 2) !== 0,
    admitted,
    refused,
    wouldRefuse,
    newcomerShare,
    blocked,
    evictions: numbers[6] ?? 0,
  }
}

/** What the core says of sources, a line for each. */
export function readTop(text: string): readonly TopSource[] {
  const lines = text.split('\n')
  return lines.filter((line) => line !== '').map(readLine)
}

function readLine(line: string): TopSource {
  const fields = line.split(' ')
  const [blockedMs, regular, level, rate] = fields.splice(-4).reverse().map(Number)
  return {
    source: fields.join(' '),
    requestsPerMinute: rate as number,
    level: level as Level,
    isRegular: regular === 1,
    blockedMs: blockedMs as number,
  }
}
