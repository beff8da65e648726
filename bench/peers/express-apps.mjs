import { once } from 'node:events'
import express from 'express'
import { importOurs } from '../tree.mjs'
import { HELLO, REFUSAL } from './http-answers.mjs'

const MIDDLEWARES = {
  bare: () => undefined,
  ratethrottle: async (limit) => {
    const { rateThrottle } = await importOurs('ratethrottle/express')
    return rateThrottle({ limits: limit.text })
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

/** One route behind one limiter, headers as each sends them by default. Answers the listening server. */
export async function startExpress({ subject, limit, refuses, host }) {
  const app = express()
  const middleware = await MIDDLEWARES[subject](limit)
  if (middleware !== undefined) app.use(middleware)
  if (refuses) app.get('/', (_, response) => response.status(429).json(REFUSAL))
  else app.get('/', (_, response) => response.json(HELLO))
  const server = app.listen(0, host)
  await once(server, 'listening')
  return server
}
