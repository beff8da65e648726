import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'

/** Processes that watch one thing each, and agree who tells. */
export class Watchers {
  readonly all: Watcher[] = []
  /** What all of them together have told. */
  readonly told: { readonly status: string; readonly by: Watcher }[] = []
  readonly #options: object

  constructor(options: object) {
    this.#options = options
  }

  static async start(count: number, options: object): Promise<Watchers> {
    const watchers = new Watchers(options)
    await Promise.all(Array.from({ length: count }, () => watchers.add()))
    return watchers
  }

  get alive(): Watcher[] {
    return this.all.filter(({ isAlive }) => isAlive)
  }

  get statuses(): string[] {
    return this.told.map(({ status }) => status)
  }

  async add(): Promise<Watcher> {
    const watcher = new Watcher(this.#options, (status) => this.told.push({ status, by: watcher }))
    await watcher.ready
    this.all.push(watcher)
    return watcher
  }

  denied(isDenied: boolean): void {
    for (const watcher of this.alive) watcher.denied(isDenied)
  }

  /** Has all of them look at the same time, and again, until something is so. */
  async lookUntil(isSo: () => boolean, forMs = 20_000): Promise<void> {
    const end = Date.now() + forMs
    while (!isSo() && Date.now() < end) {
      await Promise.all(this.alive.map((watcher) => watcher.look()))
      await pause(50)
    }
  }

  /** Has them look for so long. */
  lookFor(ms: number): Promise<void> {
    return this.lookUntil(() => false, ms)
  }
}

/** One of them. */
export class Watcher {
  readonly ready: Promise<unknown>
  readonly #child: ChildProcess
  status = ''
  isAlive = true
  #looked: () => void = () => {}

  constructor(options: object, told: (status: string) => void) {
    this.#child = fork(join(ROOT, '__test__/insight/alerts/watcher.mjs'), [JSON.stringify(options)])
    onTestFinished(() => void this.#child.kill('SIGKILL'))
    this.ready = once(this.#child, 'message')
    this.#child.on('message', ([what, value]: [string, string]) => {
      if (what === 'told') told(value)
      if (what !== 'looked') return
      this.status = value
      this.#looked()
    })
  }

  denied(isDenied: boolean): void {
    this.#child.send(['denied', isDenied])
  }

  hang(): void {
    this.#child.send(['hang'])
  }

  look(): Promise<void> {
    this.#child.send(['look'])
    return new Promise((resolve) => {
      this.#looked = resolve
    })
  }

  async kill(): Promise<void> {
    this.isAlive = false
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}
