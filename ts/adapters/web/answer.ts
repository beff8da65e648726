import type { Ending } from '../../http/adapter.ts'
import { Endings } from './endings.ts'
import { watched, withHeaders } from './response.ts'

/** Where the answer is kept on a request. In a WeakMap it would cost, in garbage collection, five times the decision. */
const ANSWER: unique symbol = Symbol('ratethrottle.answer')

type Answered = Request & { [ANSWER]?: Answer }

/** The answer to one request while it comes about: what all limiters of the request have in common. */
export class Answer {
  readonly #request: Request
  #info: unknown
  readonly #headers: Record<string, string> = {}
  /** What a refused request is answered with. */
  #refused: Response | undefined
  #received: Record<string, string> | undefined
  #endings: Endings | undefined

  private constructor(request: Request, info: unknown) {
    this.#request = request
    this.#info = info
  }

  /** The answer to a request: one, however many limiters are asked. */
  static to(request: Answered, info: unknown): Answer {
    const known = request[ANSWER]
    if (known === undefined) {
      const made = new Answer(request, info)
      request[ANSWER] = made
      return made
    }
    known.#info ??= info
    return known
  }

  static of(request: object): Answer | undefined {
    return (request as Answered)[ANSWER]
  }

  get request(): Request {
    return this.#request
  }

  /** What the program's handler was given beside the request. */
  get info(): unknown {
    return this.#info
  }

  /** What the answer must say of its limits. */
  get headers(): Record<string, string> {
    return this.#headers
  }

  get refused(): Response | undefined {
    return this.#refused
  }

  set refused(response: Response | undefined) {
    this.#refused = response
  }

  /** The request's headers, as node:http gives them. */
  get received(): Record<string, string> {
    this.#received ??= Object.fromEntries(this.request.headers)
    return this.#received
  }

  get endings(): Endings {
    this.#endings ??= new Endings(this.request.signal)
    return this.#endings
  }

  get isOver(): boolean {
    return this.#endings?.isOver ?? false
  }

  /**
   * The program answers by itself, and may never say so: then permits end with the request's signal, or with the request.
   */
  handOver(): void {
    const endings = this.#endings
    if (endings?.waitsForBody === true) FORGOTTEN.register(this.request, endings.release, this)
  }

  /** The program's own response, as it is to be sent. */
  finish(response: Response, refused?: number): Response {
    FORGOTTEN.unregister(this)
    // A handler of plain JavaScript may return anything: what becomes of that is up to the runtime.
    if (!isResponse(response)) {
      this.fail()
      return response
    }
    const right = withHeaders(response, this.headers, refused)
    this.end(right.status)
    const endings = this.#endings
    if (endings?.waitsForBody !== true || WATCHED.has(right)) return right
    const sent = watched(right, this.request.method === 'HEAD', () => endings.done())
    WATCHED.add(sent)
    return sent
  }

  /** Without a response that could be watched. */
  fail(): void {
    this.end(500)
    this.#endings?.done()
  }

  end(ending: Ending): void {
    this.#endings?.end(ending)
  }
}

/** Tells of requests that the program has forgotten without an answer that was shown here. */
const FORGOTTEN = new FinalizationRegistry<() => void>((release) => release())
/** Responses whose end is watched. Apart from {@link Answer}: one that is dropped unread is to be collected. */
const WATCHED = new WeakSet<Response>()

function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>
  return typeof status === 'number' && typeof headers?.has === 'function'
}
