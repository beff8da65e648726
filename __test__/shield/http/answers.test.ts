import { request as httpRequest } from 'node:http'
import { expect, it } from 'vitest'
import { ADAPTERS, FRAMEWORKS, serve } from '../../http/serve.ts'
import { refuse, ScriptedGuard } from './scripted.ts'

const each = it.each(ADAPTERS)
const IANA = 'https://iana.org/assignments/http-problem-types'

each('%s: 429 and 503 with a true Retry-After and a problem as body', async (framework) => {
  const guard = new ScriptedGuard(() => refuse({ retryAfterMs: 2_001 }))
  const site = await serve(framework, { shield: guard, limits: '9/minute' })
  const paced = await site.ask('/secret-path', { from: '127.0.0.77' })
  expect(paced.status).toBe(429)
  expect(paced.headers['retry-after']).toBe('3')
  expect(paced.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(paced.headers['cache-control']).toBe('no-store')
  expect(JSON.parse(paced.body)).toEqual({
    type: `${IANA}#abnormal-usage-detected`,
    title: 'Too Many Requests',
    status: 429,
    detail: 'Abnormal usage detected, retry later',
  })
  expect(JSON.stringify(paced)).not.toMatch(/127\.0\.0\.77|secret-path|failures/)
  guard.say = () => refuse({ status: 503, level: 2, reasons: ['lot'], retryAfterMs: 1 })
  const lot = await site.ask('/')
  expect(lot.status).toBe(503)
  expect(lot.headers['retry-after']).toBe('1')
  expect(JSON.parse(lot.body).type).toBe(`${IANA}#temporary-reduced-capacity`)
})

it.each(FRAMEWORKS)('%s: the error handler of the app gets the refusal', async (framework) => {
  const seen: unknown[] = []
  const guard = new ScriptedGuard(() => refuse({ retryAfterMs: 5_000 }))
  const site = await serve(
    framework,
    { shield: guard },
    {
      onError: (error) => {
        const { name, code, statusCode, retryAfter } = error as Error & Record<string, unknown>
        seen.push([name, code, statusCode, retryAfter])
        return { status: 418, body: { own: true } }
      },
    },
  )
  const answer = await site.ask('/')
  expect([answer.status, answer.body]).toEqual([418, '{"own":true}'])
  expect(answer.headers['retry-after']).toBe('5')
  expect(seen).toEqual([['RequestRefused', 'ABNORMAL_USAGE', 429, 5]])
})

each(
  '%s: a long body is not read before the refusal, and its connection ends',
  async (framework) => {
    const guard = new ScriptedGuard(() => refuse())
    const site = await serve(framework, { shield: guard, limits: '9/minute' })
    const headers = { 'content-length': '1000000000' }
    const answer = await new Promise<[number | undefined, string | undefined]>(
      (resolve, reject) => {
        const call = httpRequest({ port: site.port, method: 'POST', headers }, (response) => {
          resolve([response.statusCode, response.headers.connection])
          call.destroy()
        })
        call.on('error', reject)
        call.write('x')
      },
    )
    expect(answer).toEqual([429, 'close'])
  },
)
