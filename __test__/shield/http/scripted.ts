import { keepSettings, REQUEST_READERS } from '../../../dist/shield/settings.js'

/** What a guard was asked about. */
export interface Asked {
  readonly ip: string
  readonly path?: string | undefined
  readonly sensitive?: boolean | undefined
}

/** What a guard says. */
export interface Said {
  readonly allowed: boolean
  readonly level: 0 | 1 | 2 | 3 | 4
  readonly reasons: readonly string[]
  readonly retryAfterMs: number
  readonly status: 429 | 503 | undefined
}

export const CALM: Said = {
  allowed: true,
  level: 0,
  reasons: [],
  retryAfterMs: 0,
  status: undefined,
}

/** Says no. */
export function refuse(over: Partial<Said> = {}): Said {
  const said = { allowed: false, level: 4, reasons: ['failures'], retryAfterMs: 30_000 } as const
  return { ...said, status: 429, ...over }
}

/** A guard that says what a test wants, and remembers what it was asked and told. */
export class ScriptedGuard {
  readonly mode: 'enforce' | 'watch' | 'off'
  readonly asked: Asked[] = []
  readonly settled: [ip: string, path: string | undefined, outcome: number | 'dropped'][] = []
  closed = 0
  say: (asked: Asked) => Said

  constructor(say: (asked: Asked) => Said = () => CALM, mode: ScriptedGuard['mode'] = 'enforce') {
    this.say = say
    this.mode = mode
    withRequestOptions(this, {})
  }

  decide({ ip, path, sensitive }: Asked): Said {
    this.asked.push({ ip, path, sensitive })
    return this.say({ ip, path, sensitive })
  }

  settle({ ip, path }: Asked, outcome: number | 'dropped'): void {
    this.settled.push([ip, path, outcome])
  }

  close(): void {
    this.closed++
  }
}

/** Gives a guard the options of a shield that concern requests. */
export function withRequestOptions(guard: ScriptedGuard, options: object): ScriptedGuard {
  const given = options as Record<string, unknown>
  const readers = Object.entries(REQUEST_READERS)
  const read = readers.map(([name, reader]) => [name, reader(given[name], name)])
  keepSettings(guard, Object.fromEntries(read))
  return guard
}
