import type { Controls } from '../types.ts'
import { type Answer, type Asked, json } from './answer.ts'
import type { Guard } from './guard.ts'
import { hasToken, isFromOrigin } from './token.ts'

/** The body of a change is a short JSON object. */
const MAX_BODY = 1_024
const MAX_SOURCE = 64
const MAX_BLOCK_MS = 86_400_000

type Action =
  | { readonly action: 'pardon'; readonly source: string }
  | { readonly action: 'block'; readonly source: string; readonly ms: number }

/**
 * Does what a POST asks for: ends or begins a block.
 *
 * In the order of the answers: is it from the page itself, is it JSON of a known shape, and may this request do it.
 */
export async function act<Request>(
  view: Controls,
  guard: Guard<Request>,
  asked: Asked<Request>,
): Promise<Answer> {
  if (!isFromOrigin(asked.headers)) return refusal(403, 'the request is not from this page')
  if (!hasToken(asked.headers)) return refusal(403, 'the token is wrong: reload the page')
  const type = asked.headers('content-type') ?? ''
  if (!/^application\/json\s*(?:;|$)/i.test(type)) return refusal(415, 'the body must be JSON')
  const body = await asked.body(MAX_BODY)
  if (body === 'too large') return refusal(413, `the body must have at most ${MAX_BODY} bytes`)
  const action = body === 'cut' ? undefined : readAction(body)
  if (action === undefined) return refusal(400, 'the body must be an action with its source')
  if (!(await guard.allows(action.action, asked.request))) {
    return refusal(403, `you may not ${action.action} here`)
  }
  return done(view, action)
}

function done(view: Controls, action: Action): Answer {
  try {
    const isDone =
      action.action === 'pardon'
        ? view.pardon(action.source)
        : view.blockSource(action.source, action.ms)
    return json(200, JSON.stringify({ done: isDone }))
  } catch {
    // What it says may name what only the server should know.
    return refusal(422, 'no shield takes this: give an IP address')
  }
}

function refusal(status: number, error: string): Answer {
  return json(status, JSON.stringify({ error }))
}

function readAction(body: string): Action | undefined {
  const { action, source, ms, ...rest } = readObject(body)
  if (Object.keys(rest).length > 0 || typeof source !== 'string') return undefined
  if (source.length === 0 || source.length > MAX_SOURCE) return undefined
  if (action === 'pardon' && ms === undefined) return { action, source: addressOf(source) }
  if (action !== 'block' || typeof ms !== 'number' || !Number.isInteger(ms)) return undefined
  return ms > 0 && ms <= MAX_BLOCK_MS ? { action, source: addressOf(source), ms } : undefined
}

/** A shield shows IPv6 sources by their network, and takes any address of it. */
function addressOf(source: string): string {
  return source.endsWith('::/64') ? source.slice(0, -'/64'.length) : source.trim()
}

function readObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}
