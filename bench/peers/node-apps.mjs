import { once } from 'node:events'
import { createServer } from 'node:http'
import { importOurs } from '../tree.mjs'
import { ADMITTED_HEADERS, HELLO, JSON_TYPE, WRITTEN_REFUSAL } from './http-answers.mjs'

const BODY = JSON.stringify(HELLO)
const OWN = { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(BODY) }
const ADMITTED_HEAD = { ...ADMITTED_HEADERS, ...OWN }
const { head, body } = WRITTEN_REFUSAL
const PLAIN_HEAD = {
  'content-type': head['content-type'],
  'content-length': head['content-length'],
}

const greet = (_, response) => response.writeHead(200, OWN).end(BODY)

const refusePlainly = (_, response) => response.writeHead(429, PLAIN_HEAD).end(body)

/** The listener of each server: a limiter around the program's own, or none. */
const LISTENERS = {
  plain: (_, refuses) => (refuses ? refusePlainly : greet),
  bare: (_, refuses) =>
    refuses
      ? (_request, response) => response.writeHead(429, head).end(body)
      : (_request, response) => response.writeHead(200, ADMITTED_HEAD).end(BODY),
  ratethrottle: async (limit) => {
    const { rateThrottle } = await importOurs('ratethrottle/http')
    return rateThrottle({ limits: limit.text }).wrap(greet)
  },
  'rate-limiter-flexible': async (limit) =>
    (await import('./http-flexible.mjs')).createListener(limit, greet),
}

/** One listener behind one limiter, on Node's own server. Answers the listening server. */
export async function startNode({ subject, limit, refuses, host }) {
  const server = createServer(await LISTENERS[subject](limit, refuses))
  server.listen(0, host)
  await once(server, 'listening')
  return server
}
