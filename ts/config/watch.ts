import { createHash } from 'node:crypto'
import { type FSWatcher, watch as watchDirectory } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What is reloaded when the file changes. */
export interface Reloadable {
  reload(): Promise<unknown>
}

const POLL_MS = 1_000
/** A file is read once it has not changed for this long: editors and copies write it in parts. */
const SETTLED_MS = 100
const LOOK_AGAIN_MS = 50
/** Every tenth look reads the contents, whatever the times of the file say. */
const LOOKS_PER_HASH = 10

/**
 * Notices that a file has other contents.
 *
 * Its directory is watched and not the file: Kubernetes puts another link in its place, editors another file. And as
 * not every file system reports changes, it is looked at once a second.
 */
export class Watch {
  readonly #file: string
  readonly #read: () => Promise<Uint8Array>
  #hash = ''
  #seen = ''
  #isGone = false
  #looks = 0
  #target: Reloadable | undefined
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  #isLooking = false
  #onSignal: (() => void) | undefined

  constructor(file: string, read: () => Promise<Uint8Array>) {
    this.#file = file
    this.#read = read
  }

  /** What was read last, well or ill: it is not read again until it changes. */
  note(bytes: Uint8Array): void {
    this.#hash = hashOf(bytes)
  }

  begin(
    target: Reloadable,
    {
      watch,
      signal,
    }: { readonly watch?: boolean | undefined; readonly signal?: 'SIGHUP' | undefined },
  ): void {
    this.#target = target
    if (signal !== undefined) {
      this.#onSignal = () => void target.reload()
      process.on(signal, this.#onSignal)
    }
    if (watch !== true) return
    try {
      this.#watcher = watchDirectory(dirname(this.#file), { persistent: false }, () =>
        this.#lookSoon(),
      )
      // Such as a directory that is gone. The poll goes on.
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // A system without watchers left: the poll notices the change a little later.
    }
    this.#poll = setInterval(() => void this.#look(), POLL_MS)
    this.#poll.unref()
  }

  end(): void {
    this.#target = undefined
    this.#watcher?.close()
    clearInterval(this.#poll)
    clearTimeout(this.#soon)
    if (this.#onSignal !== undefined) process.off('SIGHUP', this.#onSignal)
  }

  #lookSoon(): void {
    if (this.#soon !== undefined || this.#target === undefined) return
    this.#soon = setTimeout(() => {
      this.#soon = undefined
      void this.#look()
    }, LOOK_AGAIN_MS)
    this.#soon.unref()
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      await this.#compare()
    } finally {
      this.#isLooking = false
    }
  }

  async #compare(): Promise<void> {
    const found = await stat(this.#file).catch(() => undefined)
    if (found === undefined) {
      // Once: what was live stays, and the reload says so.
      if (!this.#isGone) await this.#reload()
      this.#isGone = true
      return
    }
    const { mtimeMs, ctimeMs, ino, dev, size } = found
    const seen = [mtimeMs, ctimeMs, ino, dev, size].join(' ')
    this.#looks++
    // Where times are coarse, the contents alone show a change.
    if (seen === this.#seen && !this.#isGone && this.#looks % LOOKS_PER_HASH !== 0) return
    const age = Date.now() - Math.max(mtimeMs, ctimeMs)
    if (seen !== this.#seen && age >= 0 && age < SETTLED_MS) {
      this.#lookSoon()
      return
    }
    this.#seen = seen
    const bytes = await this.#read().catch(() => undefined)
    const isSame = bytes !== undefined && hashOf(bytes) === this.#hash
    if (isSame && !this.#isGone) return
    this.#isGone = false
    await this.#reload()
  }

  async #reload(): Promise<void> {
    await this.#target?.reload()
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}
