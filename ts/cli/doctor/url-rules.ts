import { get, type IncomingHttpHeaders } from 'node:http'
import { get as getSecurely } from 'node:https'
import { Misuse } from '../command.ts'
import type { Diagnosis, Finding } from './finding.ts'

const TIMEOUT_MS = 5_000
const ASKS = 3
/** Addresses for documentation (RFC 5737): no proxy has them, and no client. */
const LAST_HOP = '198.51.100.200'

interface Answer {
  readonly status: number
  readonly remaining: number | undefined
  readonly headers: IncomingHttpHeaders
}

/** What a service answers: whether it tells its limit, and whether a client can choose its address. */
export async function urlDiagnosis(given: string | undefined): Promise<Diagnosis> {
  if (given === undefined) return { facts: [], findings: [] }
  const url = readUrl(given)
  const where = `${url.protocol}//${url.host}${url.pathname}`
  let plain: Answer[]
  try {
    plain = await askTimes(url, () => ({}))
  } catch (error) {
    const { code = 'it failed' } = error as { readonly code?: string }
    return { facts: [], findings: [noAnswer(where, code)] }
  }
  const [first, last] = [plain[0] as Answer, plain.at(-1) as Answer]
  const facts = [{ where, what: `status ${first.status}, ${budgetOf(first)}` }]
  if (first.remaining === undefined) return { facts, findings: [noHeaders(where, first.status)] }
  const isCounted = (last.remaining ?? 0) < first.remaining || last.status === 429
  if (!isCounted) {
    facts.push({
      where,
      what: 'its budget recovers too fast to see whether a forged address has one of its own',
    })
    return { facts, findings: [] }
  }
  return { facts, findings: await forgeable(url, where, first.remaining) }
}

/** Headers that carry an address or a key, and that a client can write. */
const HEADERS = [
  'x-real-ip',
  'x-client-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'x-api-key',
  'x-client-id',
  'x-user-id',
  'x-tenant-id',
] as const

/** What a client can write to get a budget of its own. */
async function forgeable(url: URL, where: string, full: number): Promise<Finding[]> {
  // Only the last hop is one that a proxy next to the server would have written.
  const hops = await askTimes(url, (n) => ({
    'x-forwarded-for': `203.0.113.${n + 1}, ${LAST_HOP}`,
  }))
  const found = areFresh(hops, full) ? [forgedAddress(where)] : []
  for (const header of HEADERS) {
    const answers = await askTimes(url, (n) => ({ [header]: `203.0.113.${n + 1}` }), 2)
    if (areFresh(answers, full)) found.push(forgedKey(where, header))
  }
  return found
}

/** Whether each answer is that to a client that is new. */
function areFresh(answers: readonly Answer[], full: number): boolean {
  return answers.every(({ status, remaining }) => status !== 429 && (remaining ?? -1) >= full)
}

function readUrl(given: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new Misuse('--url must be an http: or https: URL')
}

async function askTimes(
  url: URL,
  headersOf: (n: number) => Record<string, string>,
  times = ASKS,
): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let n = 0; n < times; n++) answers.push(await ask(url, headersOf(n)))
  return answers
}

function ask(url: URL, headers: Record<string, string>): Promise<Answer> {
  const send = url.protocol === 'https:' ? getSecurely : get
  return new Promise((resolve, reject) => {
    const request = send(url, { headers, timeout: TIMEOUT_MS }, (response) => {
      response.resume()
      const { statusCode: status = 0, headers: found } = response
      resolve({ status, headers: found, remaining: remainingIn(found) })
    })
    request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'timeout' })))
    request.on('error', reject)
  })
}

/** Of the headers in either style. */
function remainingIn(headers: IncomingHttpHeaders): number | undefined {
  const legacy = headers['x-ratelimit-remaining']
  const { ratelimit } = headers
  const draft = /;\s*r=(\d+)/.exec(String(ratelimit ?? ''))?.[1]
  const text = typeof legacy === 'string' ? legacy : draft
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function budgetOf({ remaining }: Answer): string {
  return remaining === undefined ? 'no headers of a limit' : `${remaining} left`
}

function noAnswer(where: string, code: string): Finding {
  return {
    code: 'no-answer',
    severity: 'problem',
    where,
    what: `no answer: ${code}`,
    why: 'Nothing can be said of it.',
    instead: 'the URL of the service as it runs',
  }
}

function noHeaders(where: string, status: number): Finding {
  return {
    code: 'headers-off',
    severity: 'warning',
    where,
    what: `an answer with status ${status} has no headers of a limit`,
    why: 'No limit covers this URL, or its answers hide the limit, so that clients cannot pace themselves.',
    instead: "a limit for this route, and headers: 'legacy' or 'draft'",
  }
}

function forgedKey(where: string, header: string): Finding {
  return {
    code: 'forgeable-key',
    severity: 'problem',
    where,
    what: `each value of ${header} got a budget of its own`,
    why: 'A client that writes the header is not limited. Right only if this host is a proxy that sets it.',
    instead:
      'a key by address, or by a user that you have looked up; and trust: the addresses of your proxies',
  }
}

function forgedAddress(where: string): Finding {
  return {
    code: 'trusts-everybody',
    severity: 'problem',
    where,
    what: 'each forged X-Forwarded-For got a budget of its own',
    why: 'Any client chooses the address that it is counted under: it is not limited at all.',
    instead:
      'the addresses of your proxies: trust: ["10.0.0.0/8"], or in the setting of the framework',
  }
}
