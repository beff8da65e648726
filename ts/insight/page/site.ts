import type { Controls, Figures } from '../types.ts'
import { act } from './action.ts'
import { type Answer, type Asked, html, json, live, plain } from './answer.ts'
import { documentOf } from './document.ts'
import { Guard } from './guard.ts'
import { type PageOptions, type ResolvedPageOptions, resolvePageOptions } from './options.ts'
import { readRange, Snapshots } from './snapshot.ts'
import { type Sink, Streams } from './streams.ts'
import { cookieFor, isFromElsewhere, newToken, tokenOf } from './token.ts'

const METHODS = 'GET, HEAD, POST'
const NONCE_BYTES = 18

/**
 * The page, whatever it is mounted in. It has one address, so it works below any path and behind any prefix: what
 * is asked for is in the query and in the method.
 */
export class Site<Request> {
  readonly #view: Figures & Controls
  readonly #options: ResolvedPageOptions<Request>
  readonly #guard: Guard<Request>
  readonly #snapshots: Snapshots
  readonly #streams: Streams

  constructor(view: Figures & Controls, options: PageOptions<Request>) {
    this.#view = view
    this.#options = resolvePageOptions(options)
    this.#guard = new Guard(this.#options)
    this.#snapshots = new Snapshots(view)
    this.#streams = new Streams(this.#snapshots, this.#options.maxStreams)
  }

  /** Never rejects. */
  async answer(asked: Asked<Request>): Promise<Answer> {
    try {
      if (!(await this.#guard.admits(asked.request))) return this.#refused()
      if (asked.method === 'POST') return await act(this.#view, this.#guard, asked)
      if (asked.method !== 'GET' && asked.method !== 'HEAD') {
        return plain(405, 'Method not allowed', { allow: METHODS })
      }
      return await this.#get(asked)
    } catch {
      return plain(500, 'The figures cannot be read')
    }
  }

  /** Has the figures written to a response whose head was sent. @returns ends it */
  stream(range: NonNullable<Answer['stream']>, sink: Sink): () => void {
    return this.#streams.open(range, sink)
  }

  /** Ends all live pages. Further requests are still answered, but get no live page. */
  close(): void {
    this.#streams.close()
  }

  #refused(): Answer {
    const { challenge } = this.#options
    if (challenge === undefined) return plain(404, 'Not found')
    return plain(401, 'Not authorized', { 'www-authenticate': challenge })
  }

  async #get(asked: Asked<Request>): Promise<Answer> {
    const search = new URLSearchParams(asked.search)
    const what = search.get('figures')
    if (what === null) return await this.#page(asked)
    if (isFromElsewhere(asked.headers))
      return plain(403, 'Only the page itself may ask for figures')
    const range = readRange(search.get('range'))
    if (what === 'once') return json(200, this.#snapshots.text(range, true))
    if (what !== 'live') return plain(400, 'figures must be once or live')
    if (this.#streams.isFull) return plain(503, 'Too many live pages', { 'retry-after': '5' })
    return live(range)
  }

  async #page(asked: Asked<Request>): Promise<Answer> {
    const known = tokenOf(asked.headers)
    const token = known ?? newToken()
    const { randomBytes } = process.getBuiltinModule('node:crypto')
    const nonce = randomBytes(NONCE_BYTES).toString('base64')
    const may = {
      pardon: await this.#guard.allows('pardon', asked.request),
      block: await this.#guard.allows('block', asked.request),
    }
    const cookie = known === undefined ? cookieFor(token, asked.isSecure) : undefined
    return html(documentOf({ title: this.#options.title, token, nonce, may }), nonce, cookie)
  }
}
