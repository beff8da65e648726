import type { Range } from './client/snapshot.ts'
import type { Snapshots } from './snapshot.ts'

/** Where a live page is written to. */
export interface Sink {
  /** The client has left, or its server no longer listens. */
  readonly isOver: boolean
  /** What was written before has not left yet. */
  readonly isClogged: boolean
  write(text: string): void
  end(): void
}

interface Stream {
  readonly range: Range
  readonly sink: Sink
  readonly openedAt: number
  /** It has missed a step: the next one has to be complete. */
  needsWhole: boolean
  cloggedTicks: number
}

const TICK_MS = 1_000
/** Then the client asks again, and so does `authorize`: a session that has ended sees no more than this. */
const LIFE_MS = 5 * 60_000
/** A client that takes nothing for this long has left without saying so. */
const MAX_CLOGGED_TICKS = 30
/** How long a browser waits before it asks again. */
const OPENING = 'retry: 2000\n\n'
/** What keeps a connection alive while there are no figures. */
const HEARTBEAT = ': alive\n\n'

/** The live pages. One timer writes to all of them, and there is none while there are no pages. */
export class Streams {
  readonly #snapshots: Snapshots
  readonly #max: number
  readonly #open = new Set<Stream>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(snapshots: Snapshots, max: number) {
    this.#snapshots = snapshots
    this.#max = max
  }

  /** Whether there is no room for another one. */
  get isFull(): boolean {
    return this.#isClosed || this.#open.size >= this.#max
  }

  get size(): number {
    return this.#open.size
  }

  /** @returns ends it: the client has left */
  open(range: Range, sink: Sink): () => void {
    const openedAt = performance.now()
    const stream: Stream = { range, sink, openedAt, needsWhole: true, cloggedTicks: 0 }
    this.#open.add(stream)
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref()
    sink.write(OPENING)
    this.#send(stream)
    return () => this.#drop(stream)
  }

  close(): void {
    this.#isClosed = true
    for (const stream of this.#open) this.#drop(stream)
  }

  #tick(): void {
    const now = performance.now()
    for (const stream of this.#open) {
      const isOld = now - stream.openedAt > LIFE_MS || stream.cloggedTicks > MAX_CLOGGED_TICKS
      if (isOld || !this.#goesOn(stream)) this.#drop(stream)
    }
  }

  /** A response whose connection has just ended may throw, in HTTP/2 even when it is asked. */
  #goesOn(stream: Stream): boolean {
    try {
      if (stream.sink.isOver) return false
      this.#send(stream)
      return true
    } catch {
      return false
    }
  }

  /** Writes the newest figures, unless earlier ones still wait in this process: they must not pile up. */
  #send(stream: Stream): void {
    if (stream.sink.isClogged) {
      stream.needsWhole = true
      stream.cloggedTicks++
      return
    }
    stream.cloggedTicks = 0
    const text = this.#figures(stream)
    stream.sink.write(text === undefined ? HEARTBEAT : `data: ${text}\n\n`)
    if (text !== undefined) stream.needsWhole = false
  }

  #figures({ range, needsWhole }: Stream): string | undefined {
    try {
      return this.#snapshots.text(range, needsWhole)
    } catch {
      // The insight was closed. The page says that its figures are old.
      return undefined
    }
  }

  #drop(stream: Stream): void {
    if (!this.#open.delete(stream)) return
    if (this.#open.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    try {
      stream.sink.end()
    } catch {
      // It has ended.
    }
  }
}
