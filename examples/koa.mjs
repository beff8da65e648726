// A Koa app with one limit for all of it, one for a route, and downloads that run one at a time.
// Needs koa and @koa/router. Run it: PORT=3000 node examples/koa.mjs
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Router from '@koa/router'
import Koa from 'koa'
import { rateThrottle } from 'ratethrottle/koa'

const app = new Koa()
const router = new Router()
const limiter = rateThrottle({ limits: '100/minute' })

async function* lines() {
  for (let i = 1; i <= 5; i++) {
    await sleep(100)
    yield `line ${i}\n`
  }
}

app.use(limiter)
router.get('/search', limiter.limit('3/minute'), (ctx) => {
  ctx.body = { found: 0, left: ctx.state.rateLimit?.remaining }
})
// A client that has a download gets 429 for the next one, until the last byte of the first is sent.
router.get('/download', limiter.limit({ concurrent: 1 }), (ctx) => {
  ctx.type = 'text/plain'
  ctx.body = Readable.from(lines())
})
app.use(router.routes())

const { PORT = 3000 } = process.env
const server = app.listen(Number(PORT), () => console.log(`listening on ${server.address().port}`))
