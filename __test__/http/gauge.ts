import { expect } from 'vitest'
import { type Framework, type Options, type Served, serve } from './serve.ts'

/** Counts the requests that a handler has at a time, and holds them until it is opened. */
export interface Gauge {
  readonly now: number
  readonly most: number
  readonly entered: number
  readonly handle: () => Promise<number>
  /** Waits until so many are inside. */
  reaches(count: number): Promise<void>
  /** Lets those inside go on, and later ones pass. */
  open(): void
}

export function gauge(): Gauge {
  let go: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    go = resolve
  })
  const counts = { now: 0, most: 0, entered: 0 }
  return {
    get now() {
      return counts.now
    },
    get most() {
      return counts.most
    },
    get entered() {
      return counts.entered
    },
    handle: async () => {
      counts.now++
      counts.entered++
      counts.most = Math.max(counts.most, counts.now)
      await opened
      counts.now--
      return 200
    },
    reaches: async (count) => {
      await expect.poll(() => counts.now, { interval: 2, timeout: 60_000 }).toBe(count)
    },
    open: go,
  }
}

/** A server of one limiter that serves one request, which ends with `release`. */
export async function hung(
  framework: Framework,
  options: Options,
): Promise<{
  readonly server: Served
  readonly inside: Gauge
  /** Ends the request, and waits for its answer. */
  release(): Promise<void>
}> {
  const first = gauge()
  const inside = gauge()
  let isFirst = true
  const handle = (): Promise<number> => {
    if (!isFirst) return inside.handle()
    isFirst = false
    return first.handle()
  }
  const server = await serve(framework, options, handle)
  const asked = server.ask()
  await first.reaches(1)
  const release = async (): Promise<void> => {
    first.open()
    inside.open()
    expect((await asked).status).toBe(200)
  }
  return { server, inside, release }
}
