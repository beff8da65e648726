import type { PageQuestion, ResolvedPageOptions } from './options.ts'

/** What a question was answered with. All but `'yes'` refuse. */
type Verdict = 'yes' | 'no' | 'failed' | 'late' | 'no boolean'

const PROBLEMS: Readonly<Record<string, string>> = {
  failed: 'threw or rejected',
  late: 'gave no answer in time',
  'no boolean': 'returned something else than true or false',
}

/** Decides who sees the page and who may change what. Whatever goes wrong is a refusal. */
export class Guard<Request> {
  readonly #options: ResolvedPageOptions<Request>
  #hasWarned = false

  constructor(options: ResolvedPageOptions<Request>) {
    this.#options = options
    if (options.authorize === undefined) warnOfNoAuthorize()
  }

  /** Whether the request may see the page. */
  admits(request: Request): Promise<boolean> {
    const { authorize = false } = this.#options
    return this.#ask('authorize', authorize, request)
  }

  /** Whether a request that may see the page may also do this. */
  allows(what: 'pardon' | 'block', request: Request): Promise<boolean> {
    return this.#ask(what, this.#options[what], request)
  }

  async #ask(
    name: string,
    question: boolean | PageQuestion<Request>,
    request: Request,
  ): Promise<boolean> {
    if (typeof question === 'boolean') return question
    const verdict = await ask(question, request, this.#options.deadlineMs)
    const problem = PROBLEMS[verdict]
    if (problem !== undefined && !this.#hasWarned) {
      this.#hasWarned = true
      // What it threw may hold a secret of the request's.
      warn(
        'RATETHROTTLE_PAGE_AUTHORIZE',
        `option ${name} of the insight's page ${problem}; the request was refused`,
      )
    }
    return verdict === 'yes'
  }
}

async function ask<Request>(
  question: PageQuestion<Request>,
  request: Request,
  deadlineMs: number,
): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Verdict>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, 'late')
    timer.unref()
  })
  try {
    return await Promise.race([late, verdictOf(question, request)])
  } catch {
    return 'failed'
  } finally {
    clearTimeout(timer)
  }
}

async function verdictOf<Request>(
  question: PageQuestion<Request>,
  request: Request,
): Promise<Verdict> {
  const answer: unknown = await question(request)
  if (typeof answer !== 'boolean' && answer !== undefined) return 'no boolean'
  return answer === true ? 'yes' : 'no'
}

function warnOfNoAuthorize(): void {
  warn(
    'RATETHROTTLE_PAGE_UNGUARDED',
    "the insight's page has no option authorize, so every request for it is answered with 404. Pass " +
      'page({ authorize: (request) => ... }), a function that returns true for those who may see who is limited',
  )
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'RateThrottleWarning', code })
}
