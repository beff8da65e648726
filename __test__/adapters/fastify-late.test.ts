import { readFileSync } from 'node:fs'
import Fastify, { type FastifyInstance } from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { expect, test } from 'vitest'

const docs = readFileSync('docs/guides/fastify.md', 'utf8')

/** The program in docs/guides/fastify.md that registers the plugin twice. */
function recipe(): string {
  const blocks = [...docs.matchAll(/```ts[^\n]*\n([\s\S]*?)```/g)].map(([, code = '']) => code)
  return blocks.find((code) => /^await [\s\S]*hook: 'preHandler'/.test(code)) ?? ''
}

test('docs/guides/fastify.md names what a preHandler hook never counts, and the remedy', () => {
  const code = recipe()
  expect(code).not.toBe('')
  expect(code.match(/app\.register\(rateThrottle/g)).toHaveLength(2)
  const at = docs.indexOf(code)
  const said = docs.slice(docs.lastIndexOf('\n#', at), at).replaceAll(/\s+/g, ' ')
  for (const word of ['401', '400', 'preHandler', 'parser', 'never counted']) {
    expect(said).toContain(word)
  }
})

test('with the recipe of the documents failed logins, invalid and broken bodies are counted', async () => {
  const code = recipe()
  expect(code).not.toBe('')
  const { byIp, byUser, firstOf } = await import('ratethrottle')
  const given = { rateThrottle, byIp, byUser, firstOf }
  const Async = Object.getPrototypeOf(async () => {}).constructor
  const run = new Async('app', ...Object.keys(given), code.replace("'300/minute'", "'6/minute'"))
  const app: FastifyInstance = Fastify()
  app.decorateRequest('user', null)
  app.addHook('preValidation', async (request, reply) => {
    const { authorization } = request.headers
    if (authorization === undefined) return reply.code(401).send()
    ;(request as unknown as { user: object }).user = { id: authorization }
    return undefined
  })
  await run(app, ...Object.values(given))
  const body = { type: 'object', required: ['name'] }
  let runs = 0
  app.post('/', { schema: { body } }, () => `${++runs}`)
  const payload = { name: 'a' }
  const headers = { authorization: 'ada', 'content-type': 'application/json' }
  const ask = async (what: object) =>
    (await app.inject({ method: 'POST', url: '/', headers, payload, ...what })).statusCode
  const seen = [
    await ask({}),
    await ask({ headers: {} }),
    await ask({ headers: {} }),
    await ask({ payload: {} }),
    await ask({ payload: '{"' }),
    await ask({}),
    await ask({}),
    await ask({ headers: {} }),
  ]
  expect(seen).toEqual([200, 401, 401, 400, 400, 200, 429, 429])
  expect(runs).toBe(2)
  await app.close()
})
