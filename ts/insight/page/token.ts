/*
 * What proves that a change was asked for by the page itself, and not by another site in the same browser: the
 * browser's word for where the request comes from, and a token that only the page and the browser's cookie hold.
 */

/** A header of a request, or `undefined`. */
export type Headers = (name: string) => string | undefined

/** The header in which the page sends its token. */
export const TOKEN_HEADER = 'x-ratethrottle-token'
const COOKIE = 'ratethrottle-page'
const TOKEN = /^[\w-]{43}$/
const RANDOM_BYTES = 32

/** The token of a browser's session, which it has got with an earlier page. */
export function tokenOf(headers: Headers): string | undefined {
  for (const part of (headers('cookie') ?? '').split(';')) {
    const [name, value = ''] = part.split('=', 2)
    if (name?.trim() === COOKIE && TOKEN.test(value.trim())) return value.trim()
  }
  return undefined
}

/** A new token: random, and of the shape that {@link tokenOf} takes. */
export function newToken(): string {
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  return randomBytes(RANDOM_BYTES).toString('base64url')
}

/** The value of `Set-Cookie`, for all paths: behind a proxy the page may have another one than this process knows. */
export function cookieFor(token: string, isSecure: boolean): string {
  return `${COOKIE}=${token}; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
}

/** Whether the request carries the token of its own session. */
export function hasToken(headers: Headers): boolean {
  const expected = tokenOf(headers)
  const given = headers(TOKEN_HEADER)
  if (expected === undefined || given === undefined || !TOKEN.test(given)) return false
  const { timingSafeEqual } = process.getBuiltinModule('node:crypto')
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}

/**
 * Whether the browser says that the request comes from a page of this origin. A request that says nothing does
 * not: every browser sends one of the two headers with a POST.
 */
export function isFromOrigin(headers: Headers): boolean {
  const site = headers('sec-fetch-site')
  if (site !== undefined && site !== 'same-origin') return false
  const origin = headers('origin')
  if (origin === undefined) return site !== undefined
  // A proxy that changes Host keeps it here. No other site can have a browser send this header unasked.
  const hosts = [headers('host'), headers(':authority'), headers('x-forwarded-host')]
  const host = hostOf(origin)
  return host !== undefined && hosts.some((one) => one?.toLowerCase() === host)
}

/** Whether the browser says that another site has asked, for something that only the page itself asks for. */
export function isFromElsewhere(headers: Headers): boolean {
  const site = headers('sec-fetch-site')
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\\]+)$/i.exec(origin)?.[1]?.toLowerCase()
}
