import { createRequire } from 'node:module'
import express, { type RequestHandler } from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

const warnings: Error[] = []
const note = (warning: Error & { code?: string }): void => {
  if (warning.code === 'RATETHROTTLE_LATE') warnings.push(warning)
}
beforeEach(() => {
  warnings.length = 0
  process.on('warning', note)
})
afterEach(() => void process.off('warning', note))

type Make = typeof express
type Case = [build: (make: Make) => ReturnType<Make>, ask: string, named?: string]

const ok: RequestHandler = (_, response) => void response.send('done')
const limiter = (): ReturnType<typeof rateThrottle> => rateThrottle({ limits: '100/hour' })
const users = (make: Make): ReturnType<Make['Router']> => make.Router().get('/users', ok)

/** Apps with routes before the limiter at the same mount point. */
const LATE: Record<string, Case> = {
  'a router before it': [
    (make) => make().use(users(make)).use(limiter()).get('/', ok),
    '/',
    '/users',
  ],
  'a router for a path before it': [
    (make) => make().use('/v1', users(make)).use(limiter()).get('/', ok),
    '/',
    '/v1/users',
  ],
  'a router in a router before it': [
    (make) =>
      make()
        .use('/v1', make.Router().use('/all', users(make)))
        .use(limiter())
        .get('/', ok),
    '/',
    '/v1/all/users',
  ],
  'a router under its own path': [
    (make) => make().use('/api/v1', users(make)).use('/api', limiter()).get('/api', ok),
    '/api',
    '/api/v1/users',
  ],
  'a route under its own path': [
    (make) => make().get('/api/users', ok).use('/api', limiter()).get('/api', ok),
    '/api',
    '/api/users',
  ],
  'a route of its own path, in capitals': [
    (make) => make().get('/API', ok).use('/api', limiter()).get('/api/x', ok),
    '/api/x',
    '/API',
  ],
  'a route before it in its own router': [
    (make) => make().use('/api', make.Router().get('/users', ok).use(limiter()).get('/', ok)),
    '/api',
    '/api/users',
  ],
  'a route under a path with a parameter': [
    (make) => make().get('/t/:id/users', ok).use('/t/:tenant', limiter()).get('/t/:id', ok),
    '/t/1',
    '/t/:id/users',
  ],
  'one of several paths': [
    (make) => make().get(['/', '/b/users'], ok).use(['/a', '/b'], limiter()).get('/a', ok),
    '/a',
  ],
  'a mounted app before it': [
    (make) => make().use('/old', make().get('/', ok)).use(limiter()).get('/', ok),
    '/',
    '/old',
  ],
}

/** Correct apps: all routes before the limiter have other mount points. */
const RIGHT: Record<string, Case> = {
  'a home page before /api': [
    (make) => make().get('/', ok).use('/api', limiter()).get('/api', ok),
    '/api',
  ],
  'a page of a like name before /api': [
    (make) => make().get('/apis', ok).use('/api', limiter()).get('/api', ok),
    '/api',
  ],
  'a router for another path before /api': [
    (make) => make().use('/site', users(make)).use('/api', limiter()).get('/api', ok),
    '/api',
  ],
  'a page before a router that has the limiter': [
    (make) => make().get('/', ok).use('/api', make.Router().use(limiter()).get('/', ok)),
    '/api',
  ],
  'a mounted app before /api': [
    (make) => make().use('/old', make().get('/', ok)).use('/api', limiter()).get('/api', ok),
    '/api',
  ],
  'another tenant of the same kind': [
    (make) => make().get('/u/:id', ok).use('/t/:tenant', limiter()).get('/t/:id', ok),
    '/t/1',
  ],
}

async function warned(make: Make, [build, path]: Case): Promise<string[]> {
  warnings.length = 0
  const base = await listen(build(make))
  for (let i = 0; i < 2; i++) expect((await fetch(base + path)).status).toBe(200)
  await new Promise(setImmediate)
  return warnings.map(({ message }) => message)
}

for (const [name, make] of [
  ['Express 5', express],
  ['Express 4', express4],
] as const) {
  test(`${name}: routes in routers before the limiter cause one warning with their paths`, async () => {
    const seen: unknown[] = []
    for (const [which, late] of Object.entries(LATE)) {
      const told = await warned(make, late)
      const [, , named = ''] = late
      seen.push([which, told.length, told.every((message) => message.includes(named))])
    }
    expect(seen).toEqual(Object.keys(LATE).map((which) => [which, 1, true]))
  })

  test.each(Object.keys(RIGHT).slice(0, 2))(
    `${name}: a correct app causes no warning: %s`,
    async (which) => {
      expect(await warned(make, RIGHT[which] as Case)).toEqual([])
    },
  )

  test(`${name}: no correct app causes a warning`, async () => {
    const seen: unknown[] = []
    for (const [which, right] of Object.entries(RIGHT))
      seen.push([which, await warned(make, right)])
    expect(seen).toEqual(Object.keys(RIGHT).map((which) => [which, []]))
  })
}
