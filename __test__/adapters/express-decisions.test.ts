import { createRequire } from 'node:module'
import express, { type Request, type RequestHandler } from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express
const EXPRESSES: [string, typeof express][] = [
  ['Express 5', express],
  ['Express 4', express4],
]

const limiter = (): ReturnType<typeof rateThrottle> => rateThrottle({ limits: '5/hour' })
const remaining: RequestHandler = (request, response) => {
  response.json({ remaining: request.rateLimit?.remaining ?? null })
}

async function ask(app: ReturnType<typeof express>): Promise<unknown> {
  return (await fetch(await listen(app))).json()
}

test.each(EXPRESSES)(
  '%s: the decision of a limiter within a mounted app is there outside of it, too',
  async (_, make) => {
    const inner = make().use(limiter())
    expect(await ask(make().use(inner).use(remaining))).toEqual({ remaining: 4 })
  },
)

test.each(EXPRESSES)(
  '%s: an object that inherits from a request has its decision, and is counted with it',
  async (_, make) => {
    const limit = limiter()
    let seen: number | undefined
    const derive: RequestHandler = (request, response, next) => {
      const derived = Object.create(request) as Request
      limit(derived, response, () => {
        seen = derived.rateLimit?.remaining
        next()
      })
    }
    const show: RequestHandler = (request, response) => {
      response.json([seen, request.rateLimit?.remaining])
    }
    expect(await ask(make().use(limit).use(derive).use(show))).toEqual([4, 4])
  },
)

test.each(EXPRESSES)(
  '%s: what another middleware sets in its place stands, of this request alone',
  async (_, make) => {
    const other: RequestHandler = (request, _response, next) => {
      const own = request as { rateLimit?: object }
      expect(own.rateLimit).toMatchObject({ allowed: true, limit: 5 })
      own.rateLimit = { remaining: 99 }
      next()
    }
    expect(await ask(make().use(limiter()).use(other).use(remaining))).toEqual({ remaining: 99 })
    expect(await ask(make().use(remaining))).toEqual({ remaining: null })
  },
)
