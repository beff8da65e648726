import { closedError } from '../errors.ts'
import type { Insight } from '../insight/view.ts'
import { withSettings } from '../storage-url.ts'
import { printable, withCode } from '../validate.ts'
import { type CheckContext, type Checked, check } from './check.ts'
import type { Options } from './options.ts'
import { type ConfigLimiter, facadeOf, PlainLimiter } from './plain.ts'
import { isWrong } from './read.ts'
import { Retired } from './retired.ts'
import { type Opened, openEach, openServing, type Serving } from './serving.ts'
import { openInsight, showState } from './shown.ts'
import { ConfigError, type ConfigProblem, IN_PROGRAM } from './tree.ts'
import type { ConfigState, ReloadResult } from './types.ts'
import {
  type Attachment,
  askNewStores,
  type Content,
  changedBetween,
  closeAll,
  closeServing,
  newHome,
  openProblem,
  type Readable,
  refuseLosses,
  retire,
  type Version,
} from './version.ts'

/** Where a configuration comes from. */
export interface Source {
  /** `undefined` for a program. */
  readonly file: string | undefined
  /** What it says now. */
  read(): Promise<Content>
  /** What `${NAME}` means; `undefined` in a program, which has no such texts. */
  environment(): CheckContext['environment']
}

/**
 * A configuration that is live, and may be replaced while requests come in.
 *
 * Replacing is a transaction: what is new is read, checked and opened beside the old, then takes its place at once.
 * Whatever fails on the way, the old stays.
 */
export class Config {
  readonly #source: Source
  readonly #onReload: ((result: ReloadResult) => void) | undefined
  readonly #attachments = new Set<Attachment>()
  readonly #asked = new Set<string>()
  readonly #retired = new Retired()
  readonly #home = newHome()
  #live: Version | undefined
  #errors: readonly ConfigProblem[] = []
  #reloads = 0
  #failures = 0
  #insight: Insight | undefined
  #running: Promise<unknown> = Promise.resolve()
  #stop: () => void = () => {}

  /** Not for users: `loadConfig` makes it. @throws ConfigError */
  constructor(
    source: Source,
    content: Readable,
    onReload: ((result: ReloadResult) => void) | undefined,
  ) {
    this.#source = source
    this.#onReload = onReload
    this.#live = this.#prepare(content)
    const { checked, environment } = this.#live
    if (checked.insight !== undefined) {
      this.#insight = openInsight(checked.insight, this)
      this.#live = { ...this.#live, checked: this.#beside(checked, environment, {}) }
    }
  }

  /** Not for users: what ends with the configuration. */
  onClose(stop: () => void): void {
    this.#stop = stop
  }

  /**
   * A limiter of the file for use without HTTP. It shares its counters with the adapters that serve this
   * configuration, and follows reloads: its next call is under the new limits.
   *
   * @throws RangeError with the code INVALID_ARGUMENT if there is none of this name
   */
  limiter(name: string): ConfigLimiter {
    const live = this.#version()
    const options = live.checked.limiters.get(name)
    if (options === undefined) {
      const names = [...live.checked.limiters.keys()].join(', ')
      const message = `name must be that of a limiter in the configuration (${names}), got ${printable(name)}`
      throw withCode(new RangeError(message), 'INVALID_ARGUMENT')
    }
    if (!live.plain.has(name)) {
      live.plain.set(name, { options, limiter: new PlainLimiter(name, options, this.#home) })
    }
    this.#asked.add(name)
    return facadeOf(() => this.#version().plain.get(name)?.limiter as PlainLimiter)
  }

  /**
   * Reads the source again, and replaces what is live by what it says.
   *
   * @returns what became of it. Never rejects: what is wrong is in the result
   */
  reload(): Promise<ReloadResult> {
    const result = this.#running.then(() => this.#reload())
    this.#running = result
    return result
  }

  get isClosed(): boolean {
    return this.#live === undefined
  }

  /** What the file's `insight` counts, to be shown; `undefined` if the file has none. */
  get insight(): Insight | undefined {
    return this.#insight
  }

  state(): ConfigState {
    const { checked, loadedAt } = this.#version()
    return {
      file: this.#source.file,
      loadedAt,
      stale: this.#errors.length > 0,
      errors: this.#errors,
      warnings: checked.warnings,
      reloads: this.#reloads,
      failures: this.#failures,
      limiters: [...checked.limiters.keys()],
      retiring: this.#retired.size,
    }
  }

  /** What is live, with texts as the file has them: no value of the environment is in it. */
  toJSON(): unknown {
    return this.#version().checked.written()
  }

  /** Ends the watching, and closes all limiters: later requests are refused (500). */
  close(): void {
    const live = this.#live
    if (live === undefined) return
    this.#live = undefined
    this.#stop()
    this.#retired.close()
    closeAll(live, undefined)
    this.#insight?.close()
  }

  /** Not for users: an adapter begins to serve what is live. @throws ConfigError */
  attach(attachment: Attachment): () => Serving | undefined {
    const live = this.#version()
    live.servings.set(attachment, this.#serve(live, attachment))
    this.#attachments.add(attachment)
    showState(attachment.base.insight, this)
    return () => this.#live?.servings.get(attachment)
  }

  /** Not for users: an adapter ends. */
  detach(attachment: Attachment): void {
    this.#attachments.delete(attachment)
    const serving = this.#live?.servings.get(attachment)
    this.#live?.servings.delete(attachment)
    if (serving !== undefined) closeServing(serving, undefined)
  }

  #version(): Version {
    if (this.#live === undefined) throw closedError('the configuration is closed')
    return this.#live
  }

  async #reload(): Promise<ReloadResult> {
    const start = performance.now()
    let next: Version | undefined
    try {
      const content = await this.#source.read()
      if (isWrong(content)) return this.#fail(content, start)
      next = this.#prepare(content, this.#version())
      this.#complete(next, this.#version())
      await askNewStores(next, this.#version())
      // An adapter may have come while the store was waited for.
      this.#complete(next, this.#version())
      return this.#swap(next, start)
    } catch (error) {
      if (next !== undefined && next !== this.#live) closeAll(next, this.#live)
      return this.#fail(this.#problemsOf(error), start)
    }
  }

  /** Checks a content. @throws ConfigError */
  #prepare(content: Readable, before?: Version): Version {
    const environment = this.#source.environment()
    const checked = this.#check(content, environment)
    if (before !== undefined) refuseLosses(checked, before.checked, this.#asked, this.#source.file)
    const plain = new Map<string, Opened<PlainLimiter>>()
    const version = {
      environment,
      checked,
      servings: new Map(),
      plain,
      loadedAt: Date.now(),
    }
    if (before !== undefined) this.#openPlain(version, before)
    return version
  }

  #check({ tree, text }: Readable, environment: Version['environment']): Checked {
    const file = this.#source.file ?? IN_PROGRAM
    const base = this.#baseOf({}, environment)
    return accepted(check(tree, { file, text, environment, base }))
  }

  /** @param base the options of an adapter */
  #beside(checked: Checked, environment: Version['environment'], base: Options): Checked {
    return accepted(checked.beside(this.#baseOf(base, environment)))
  }

  /** The settings of the environment hold where nothing else is said, in adapters as without them. */
  #baseOf(base: Options, environment: Version['environment']): Options {
    const whole = { ...withSettings({}, environment ?? process.env), ...base }
    return this.#insight === undefined ? whole : { ...whole, insight: this.#insight }
  }

  #openPlain(version: Version, before: Version): void {
    const asked = new Map([...version.checked.limiters].filter(([name]) => this.#asked.has(name)))
    const open = (name: string, options: Options): PlainLimiter => {
      return new PlainLimiter(name, options, this.#home)
    }
    const opened = openEach({ ...version.checked, limiters: asked }, before.plain, open)
    for (const [name, one] of opened) version.plain.set(name, one)
  }

  /** Opens what adapters need of a version that do not have it yet. */
  #complete(next: Version, live: Version): void {
    for (const attachment of this.#attachments) {
      if (next.servings.has(attachment)) continue
      next.servings.set(attachment, this.#serve(next, attachment))
    }
    this.#openPlain(next, { ...live, plain: new Map([...live.plain, ...next.plain]) })
  }

  #serve(version: Version, attachment: Attachment): Serving {
    const { base, opener } = attachment
    const checked = this.#beside(version.checked, version.environment, base)
    const current = (): Serving | undefined => this.#live?.servings.get(attachment)
    return openServing(checked, opener, current, this.#home)
  }

  /** The new takes the place of the old: from here on each request is under it. */
  #swap(next: Version, start: number): ReloadResult {
    const live = this.#version()
    const before = performance.now()
    this.#live = next
    const swapMs = performance.now() - before
    this.#errors = []
    this.#reloads++
    this.#home.keep([...next.checked.limiters.keys()])
    retire(live, next, this.#retired)
    return this.#report({
      ok: true,
      errors: [],
      warnings: next.checked.warnings,
      changed: changedBetween(live.checked, next.checked),
      tookMs: performance.now() - start,
      swapMs,
    })
  }

  #fail(errors: readonly ConfigProblem[], start: number): ReloadResult {
    this.#errors = errors
    this.#failures++
    const tookMs = performance.now() - start
    return this.#report({ ok: false, errors, warnings: [], changed: [], tookMs, swapMs: 0 })
  }

  #report(result: ReloadResult): ReloadResult {
    try {
      this.#onReload?.(result)
    } catch {
      const message = 'onReload threw an error: what is live does not depend on it'
      process.emitWarning(message, { type: 'RateThrottleWarning', code: 'RATETHROTTLE_ON_RELOAD' })
    }
    return result
  }

  #problemsOf(error: unknown): readonly ConfigProblem[] {
    if (error instanceof ConfigError) return error.errors
    return [openProblem(error, this.#source.file ?? IN_PROGRAM, this.#source.environment() ?? {})]
  }
}

/** @throws ConfigError with all that is wrong */
function accepted(checked: Checked | readonly ConfigProblem[]): Checked {
  if (isWrong(checked)) throw new ConfigError(checked)
  return checked
}
