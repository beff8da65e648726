// Which defects the rivals show in the versions of our lock file: node bench/peers/defects.mjs
//
// A look at others' code, not a test of ours: each line says what was asked of a rival, how many requests it
// served, and how many a right one would have.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import rivalFastify from '@fastify/rate-limit'
import express from 'express'
import rivalExpress from 'express-rate-limit'
import Fastify from 'fastify'

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i))
const limited = (options) => ({ config: { rateLimit: options } })

async function served(app, paths) {
  let count = 0
  for (const path of paths) if ((await app.inject(path)).statusCode === 200) count++
  await app.close()
  return count
}

async function oneGroupOfRoutes() {
  const app = Fastify()
  await app.register(rivalFastify, { max: 100 })
  const group = limited({ max: 3, groupId: 'one', timeWindow: 60_000 })
  for (const path of ['/a', '/b']) app.get(path, group, () => 'ok')
  return served(
    app,
    times(6, (i) => (i % 2 ? '/a' : '/b')),
  )
}

async function routeBeforeThePlugin() {
  const app = Fastify()
  app.register(rivalFastify, { max: 1 })
  app.get('/', () => 'ok')
  return served(app, ['/', '/', '/'])
}

async function keyAfterAFlood() {
  const keyGenerator = (request) => JSON.stringify(request.query)
  const app = Fastify()
  await app.register(rivalFastify, { max: 1, cache: 100, keyGenerator })
  app.get('/', () => 'ok')
  return served(app, ['/?me', '/?me', ...times(150, (i) => `/?other=${i}`), '/?me'])
}

async function parallelGoodRequests() {
  const app = express()
  app.use(rivalExpress({ limit: 5, skipSuccessfulRequests: true, validate: false }))
  app.get('/', (_, response) => void pause(20).then(() => response.send('ok')))
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`
  const answers = await Promise.all(times(10, () => fetch(url)))
  server.closeAllConnections()
  server.close()
  return answers.filter(({ status }) => status === 200).length
}

const CASES = [
  [
    '@fastify/rate-limit: 6 requests to a group of routes with one budget of 3',
    oneGroupOfRoutes,
    3,
  ],
  ['@fastify/rate-limit: 3 requests at 1, plugin not awaited', routeBeforeThePlugin, 1],
  ['@fastify/rate-limit: a spent key comes back after 150 others', keyAfterAFlood, 151],
  ['express-rate-limit: 10 good requests at once, only bad ones count', parallelGoodRequests, 10],
]

console.log('| asked of a rival | served | right |\n| --- | ---: | ---: |')
for (const [what, count, right] of CASES) console.log(`| ${what} | ${await count()} | ${right} |`)
