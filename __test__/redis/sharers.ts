import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { sleep, until } from './faults.ts'

const WORKER = join(ROOT, '__test__/redis/sharer.mjs')

/** The storage and the limits of its limiters. */
export interface Terms {
  readonly url: string
  readonly limit: string | readonly string[]
  readonly options?: object
}

/** A process that shares limits with others. */
export class Sharer {
  readonly #child: ChildProcess
  readonly #answers = new Map<number, (answer: unknown) => void>()
  /** Calls that rejected; must be 0. */
  readonly errors: string[] = []
  #asked = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message: unknown) => {
      if (!Array.isArray(message)) return
      if (message[2]) this.errors.push(message[2])
      this.#answers.get(message[0])?.(message[1])
      this.#answers.delete(message[0])
    })
  }

  static async start(terms: Terms): Promise<Sharer> {
    const child = fork(WORKER, [JSON.stringify(terms)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    return new Sharer(child)
  }

  static many(count: number, terms: Terms): Promise<Sharer[]> {
    return Promise.all(Array.from({ length: count }, () => Sharer.start(terms)))
  }

  open(name = ''): Promise<unknown> {
    return this.#tell('open', name)
  }

  async ask(times: number, { name = '', key = 'k' } = {}): Promise<number> {
    return Number(await this.#tell('ask', name, key, times))
  }

  async processes(name = ''): Promise<number> {
    return Number(await this.#tell('processes', name))
  }

  /** Whether Redis decides for it now. */
  async isExact(name = ''): Promise<boolean> {
    const before = await this.#tell('failures', name)
    await this.#tell('look', name)
    return (await this.#tell('failures', name)) === before
  }

  /** Ends it as a deployment does, or as a crash. */
  async end(how: 'closed' | 'killed'): Promise<void> {
    if (how === 'closed') await this.#tell('close')
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  #tell(...command: unknown[]): Promise<unknown> {
    const id = ++this.#asked
    const answer = new Promise((resolve) => this.#answers.set(id, resolve))
    this.#child.send([id, ...command])
    return answer
  }
}

/** Units that all of them admit together, each called more often than the whole limit. */
export async function admitted(
  sharers: readonly Sharer[],
  times: number,
  what: { name?: string; key?: string } = {},
): Promise<number> {
  const each = await Promise.all(sharers.map((sharer) => sharer.ask(times, what)))
  return each.reduce((sum, count) => sum + count, 0)
}

/** Waits until Redis decides for each process, and each counts that many processes. */
export async function untilShared(
  sharers: readonly Sharer[],
  processes: number,
  name = '',
  ms = 12_000,
): Promise<void> {
  for (const sharer of sharers) await until(() => sharer.isExact(name))
  const end = performance.now() + ms
  while (performance.now() < end) {
    const counts = await Promise.all(sharers.map((sharer) => sharer.processes(name)))
    if (counts.every((count) => count === processes)) break
    await sleep(100)
  }
}

/** Waits until Redis decides for none of them. */
export async function untilAway(sharers: readonly Sharer[], name = ''): Promise<void> {
  for (const sharer of sharers) await until(async () => !(await sharer.isExact(name)))
}
