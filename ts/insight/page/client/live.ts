import type { Range, Snapshot } from './snapshot.ts'

/* How the page talks to its server. It knows one address: its own, with the query that it was opened with. */

const POLL_MS = 5_000
/** A live page hears from its server each second; after this long it says that its figures are old. */
const SILENCE_MS = 6_000
/** Streams that end at once say that something between here and the server holds them back. */
const MAX_FAILURES = 2

/** How the figures come. */
export type LinkState = 'connecting' | 'live' | 'polling' | 'paused' | 'lost' | 'refused'

export type Change =
  | { readonly action: 'pardon'; readonly source: string }
  | { readonly action: 'block'; readonly source: string; readonly ms: number }

/** What the reader may change, and how. */
export interface Changes {
  readonly may: { readonly pardon: boolean; readonly block: boolean }
  /** Asks for a change, and says in words what came of it. */
  ask(change: Change): Promise<string>
}

function address(figures: 'live' | 'once' | undefined, range?: Range): URL {
  const url = new URL(location.href)
  url.hash = ''
  url.searchParams.delete('figures')
  url.searchParams.delete('range')
  if (figures !== undefined) url.searchParams.set('figures', figures)
  if (range !== undefined) url.searchParams.set('range', range)
  return url
}

/** Figures as they come: by server-sent events, or by asking every five seconds where those do not get through. */
export class Link {
  readonly #take: (snapshot: Snapshot) => void
  readonly #tell: (state: LinkState) => void
  #range: Range = '10m'
  #source: EventSource | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #heardAt = 0
  #failures = 0
  #isPaused = false

  constructor(take: (snapshot: Snapshot) => void, tell: (state: LinkState) => void) {
    this.#take = take
    this.#tell = tell
    // A page that is not seen takes no connection: a browser has six for an origin.
    document.addEventListener('visibilitychange', () => this.#start())
    setInterval(() => this.#listen(), 1_000)
  }

  show(range: Range): void {
    this.#range = range
    this.#start()
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    this.#start()
  }

  #start(): void {
    this.#stop()
    if (this.#isPaused) this.#tell('paused')
    else if (!document.hidden) this.#open()
  }

  #stop(): void {
    this.#source?.close()
    this.#source = undefined
    clearTimeout(this.#timer)
  }

  #open(): void {
    if (this.#failures >= MAX_FAILURES) {
      void this.#poll()
      return
    }
    this.#heardAt = performance.now()
    const source = new EventSource(address('live', this.#range))
    this.#source = source
    source.onmessage = ({ data }) => {
      this.#failures = 0
      this.#hear(JSON.parse(data as string) as Snapshot, 'live')
    }
    source.onerror = () => {
      this.#tell('connecting')
      // The browser tries again by itself, unless it was refused.
      if (source.readyState === EventSource.CLOSED) this.#fail()
    }
  }

  #fail(): void {
    this.#failures++
    this.#stop()
    this.#timer = setTimeout(() => this.#start(), 1_000)
  }

  async #poll(): Promise<void> {
    const range = this.#range
    let state: LinkState = 'lost'
    try {
      const answer = await fetch(address('once', range), { cache: 'no-store' })
      if (answer.status === 401 || answer.status === 404) state = 'refused'
      if (answer.ok) {
        const snapshot = (await answer.json()) as Snapshot
        if (range === this.#range && !this.#isPaused) this.#hear(snapshot, 'polling')
        state = 'polling'
      }
    } catch {
      // The server is away. The next try may find it.
    }
    if (this.#isPaused || range !== this.#range) return
    this.#tell(state)
    // Where the server is back, there may be a live page again.
    if (state === 'lost') this.#failures = 0
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#start(), POLL_MS)
  }

  #hear(snapshot: Snapshot, state: LinkState): void {
    this.#heardAt = performance.now()
    this.#tell(state)
    this.#take(snapshot)
  }

  /** A connection can end without a word. */
  #listen(): void {
    if (this.#source === undefined || performance.now() - this.#heardAt < SILENCE_MS) return
    this.#tell('lost')
    if (this.#source.readyState === EventSource.OPEN) this.#fail()
  }
}

/** Sends changes. The token says that this page has asked, and not another site in the same browser. */
export function changesOf({ token = '', pardon, block }: DOMStringMap): Changes {
  const ask = async (change: Change): Promise<string> => {
    try {
      const answer = await fetch(address(undefined), {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-ratethrottle-token': token },
        body: JSON.stringify(change),
      })
      const said = (await answer.json()) as { done?: boolean; error?: string }
      return said.error === undefined ? wordsFor(change, said.done === true) : refusalOf(said.error)
    } catch {
      return 'The server did not answer. Nothing is known to have changed.'
    }
  }
  return { may: { pardon: pardon === 'true', block: block === 'true' }, ask }
}

function wordsFor({ action, source }: Change, isDone: boolean): string {
  if (action === 'block') return isDone ? `${source} is blocked.` : `${source} was not blocked.`
  return isDone ? `${source} is pardoned.` : `No shield has ${source} as blocked.`
}

function refusalOf(error: string): string {
  return `Refused: ${error}.`
}
