import { once } from 'node:events'
import express from 'express'
import { importOurs } from '../tree.mjs'
import { ADMITTED_HEADERS, HELLO, REFUSAL, WRITTEN_REFUSAL } from './http-answers.mjs'

const MIDDLEWARES = {
  plain: () => undefined,
  bare: () => undefined,
  ratethrottle: async (limit) => {
    const { rateThrottle } = await importOurs('ratethrottle/express')
    return rateThrottle({ limits: limit.text })
  },
  'ratethrottle.insight': async (limit) => {
    const { rateThrottle } = await importOurs('ratethrottle/express')
    const { insight } = await importOurs('ratethrottle/insight')
    return rateThrottle({ limits: limit.text, insight: insight({ keys: 'plain' }) })
  },
  // Both styles by name: these are its defaults, and the ones that send what the others send.
  'express-rate-limit': async ({ count, windowMs }) => {
    const { rateLimit } = await import('express-rate-limit')
    return rateLimit({ limit: count, windowMs, legacyHeaders: true, standardHeaders: false })
  },
  'rate-limiter-flexible': async (limit) =>
    (await import('./http-flexible.mjs')).createMiddleware(limit),
  map: async (limit) => (await import('./http-map.mjs')).createMiddleware(limit),
}

/** The cheapest ways that were found to send by hand what a limiter sends. */
const BY_HAND = {
  plain: { deny: (_, response) => response.status(429).json(REFUSAL) },
  bare: {
    admit: (_, response) => response.set(ADMITTED_HEADERS).json(HELLO),
    deny: (_, response) => response.writeHead(429, WRITTEN_REFUSAL.head).end(WRITTEN_REFUSAL.body),
  },
}

/** One route behind one limiter, headers as each sends them by default. Answers the listening server. */
export async function startExpress({ subject, limit, refuses, host }) {
  const app = express()
  const middleware = await MIDDLEWARES[subject](limit)
  if (middleware !== undefined) app.use(middleware)
  const byHand = BY_HAND[subject]?.[refuses ? 'deny' : 'admit']
  if (refuses) app.use(byHand)
  else app.get('/', byHand ?? ((_, response) => response.json(HELLO)))
  const server = app.listen(0, host)
  await once(server, 'listening')
  return server
}
