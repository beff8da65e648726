import { expect, it, onTestFinished } from 'vitest'
import { ADAPTERS, type Framework, type Options, serve } from '../../http/serve.ts'
import { CALM, refuse, ScriptedGuard, withRequestOptions } from './scripted.ts'

const each = it.each(ADAPTERS)

/** A site whose handlers show what the shield says: they see the request of node:http in all frameworks. */
async function siteOf(framework: Framework, guard: ScriptedGuard, options: Options = {}) {
  const run = (request: object) => {
    const raw = 'raw' in request ? (request.raw as object) : request
    const { shield } = raw as { shield?: object }
    return { body: { ...shield } }
  }
  const routes = ['/', '/login', '/search'].map((path) => ({ path, run }))
  return serve(framework, { shield: guard, limits: '99/minute', ...options }, { routes })
}

/** A request of any framework; in Hono a context. */
interface AnyRequest {
  readonly url?: string
  readonly req?: { readonly path?: string }
}

function pathOf({ url, req }: AnyRequest): string | undefined {
  // Only a Request of the web names its host.
  return req?.path ?? url?.replace(/^http:\/\/[^/]*/, '')
}

function warningsOf(): string[] {
  const codes: string[] = []
  const note = (warning: Error & { code?: string }) => codes.push(warning.code ?? '')
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  return codes
}

each('%s: a request carries what the shield says, in watch mode too', async (framework) => {
  const watched = { ...refuse({ level: 2, reasons: ['lot'] }), allowed: true, status: undefined }
  const guard = new ScriptedGuard(() => watched, 'watch')
  const site = await siteOf(framework, guard)
  const shown = { level: 2, reasons: ['lot'], retryAfterMs: 30_000, allowed: true }
  expect(JSON.parse((await site.ask()).body)).toEqual({ ...shown, challenge: false })
})

each('%s: onSuspect lets requests pass, or has them challenged', async (framework) => {
  const seen: object[] = []
  const guard = withRequestOptions(new ScriptedGuard(() => refuse({ level: 3 })), {
    onSuspect: ({ request, ...suspect }: { request: AnyRequest }) => {
      seen.push(suspect)
      if (pathOf(request) === '/search') return 'challenge'
      return pathOf(request) === '/login' ? 'default' : 'pass'
    },
  })
  const site = await siteOf(framework, guard)
  const [passed, challenged] = [await site.ask('/'), await site.ask('/search')]
  expect([passed.status, JSON.parse(passed.body).challenge]).toEqual([200, false])
  expect([challenged.status, JSON.parse(challenged.body).challenge]).toEqual([200, true])
  expect(JSON.parse(challenged.body)).toMatchObject({ level: 3, allowed: true })
  expect((await site.ask('/login')).status).toBe(429)
  const suspect = { level: 3, reasons: ['failures'], source: '127.0.0.1' }
  expect(seen).toEqual([suspect, suspect, suspect])
})

each('%s: onSuspect is not asked about requests that may pass', async (framework) => {
  let asked = 0
  const guard = withRequestOptions(new ScriptedGuard(() => CALM), { onSuspect: () => asked++ })
  const site = await siteOf(framework, guard)
  await site.statuses(3)
  expect(asked).toBe(0)
})

const ODD = [
  () => {
    throw new Error('on purpose')
  },
  async () => 'pass',
  async () => {
    throw new Error('on purpose')
  },
]

it.each(ODD)(
  'onSuspect that throws or answers later: as without it, with a warning',
  async (onSuspect) => {
    const codes = warningsOf()
    const guard = withRequestOptions(new ScriptedGuard(() => refuse()), { onSuspect })
    const site = await siteOf('node:http', guard)
    expect(await site.statuses(3)).toEqual([429, 429, 429])
    expect(codes).toEqual(['RATETHROTTLE_SHIELD_FAILED'])
  },
)

it.each([undefined, null, 0, 'passed', true, {}])(
  'onSuspect that answers %s refuses',
  async (answer) => {
    const guard = withRequestOptions(new ScriptedGuard(() => refuse()), { onSuspect: () => answer })
    const site = await siteOf('Express 5', guard)
    expect(await site.statuses(1)).toEqual([429])
  },
)

each('%s: option sensitive gets the request of the framework', async (framework) => {
  const guard = withRequestOptions(new ScriptedGuard(), {
    sensitive: (request: AnyRequest) => pathOf(request) === '/login',
  })
  const site = await siteOf(framework, guard)
  await site.ask('/login')
  await site.ask('/search')
  expect(guard.asked.map(({ sensitive }) => sensitive)).toEqual([true, false])
})

it.each(ODD)(
  'sensitive that throws or answers later: not sensitive, with a warning',
  async (sensitive) => {
    const codes = warningsOf()
    const guard = withRequestOptions(new ScriptedGuard(), { sensitive })
    const site = await siteOf('Fastify 5', guard)
    expect(await site.statuses(2, '/login')).toEqual([200, 200])
    expect(guard.asked.map((asked) => asked.sensitive)).toEqual([false, false])
    expect(codes).toEqual(['RATETHROTTLE_SHIELD_FAILED'])
  },
)

it('source is the /64 of an IPv6 client', async () => {
  const seen: string[] = []
  const onSuspect = ({ source }: { source: string }) => {
    seen.push(source)
    return 'default'
  }
  const guard = withRequestOptions(new ScriptedGuard(() => refuse()), { onSuspect })
  const site = await siteOf('Express 5', guard, { trust: 'loopback' })
  await site.ask('/', { headers: { 'x-forwarded-for': '2001:db8:1:2:3:4:5:6' } })
  expect(seen).toEqual(['2001:db8:1:2::/64'])
  expect(guard.asked[0]?.ip).toBe('2001:db8:1:2:3:4:5:6')
})
