import type { ConfigProblem } from './tree.ts'

/** What became of a reload. */
export interface ReloadResult {
  /** Whether the file is live now. If not, what was live before still is. */
  readonly ok: boolean
  /** What is wrong with it. */
  readonly errors: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  /** Limiters that were added, changed or removed, by name. */
  readonly changed: readonly string[]
  /** Milliseconds that reading, checking and opening took, and those of them in which the new took the old's place. */
  readonly tookMs: number
  readonly swapMs: number
}

/** How a configuration stands. */
export interface ConfigState {
  /** `undefined` for one that is no file. */
  readonly file: string | undefined
  /** When what is live was read, in milliseconds since 1970. */
  readonly loadedAt: number
  /** Whether the last reload failed, or the file is gone: what is live is not what it says. */
  readonly stale: boolean
  /** Why it is stale. */
  readonly errors: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  /** Reloads that took effect, and those that did not, since the start. */
  readonly reloads: number
  readonly failures: number
  readonly limiters: readonly string[]
  /** Limiters that were replaced, and wait for their last call. */
  readonly retiring: number
}

/** Options of `loadConfig`. */
export interface LoadOptions {
  /** Whether the file is read again when it changes. Default: false. */
  readonly watch?: boolean | undefined
  /** Called after each reload, whatever became of it. */
  readonly onReload?: ((result: ReloadResult) => void) | undefined
  /** What `${NAME}` means. Default: the environment of the process, as it is at each reload. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** A signal that has the file read again. Default: none. */
  readonly signal?: 'SIGHUP' | undefined
}
