import { type NextRequest, NextResponse } from 'next/server'
import { rateThrottle, TRUST_EVERYBODY } from 'ratethrottle/web'

const limiter = rateThrottle({
  limits: '100/hour',
  // Next.js tells no address. Only our proxy reaches this server, and it wrote the last hop.
  trust: { proxies: TRUST_EVERYBODY, hops: 1 },
})

export async function proxy(request: NextRequest): Promise<Response> {
  const { response, headers } = await limiter.check(request)
  return response ?? NextResponse.next({ headers })
}

export const config = { matcher: '/api/:path*' }
