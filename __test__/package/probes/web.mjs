// web.mjs: on Bun or Deno, what 200 clients at once get of a real server, through `web` and through Hono.
import { Hono } from 'hono'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle } from 'ratethrottle/web'

let runs = 0
const served = async () => {
  runs++
  await Promise.resolve()
  return new Response('served')
}
const limiter = rateThrottle({ limits: '25/hour' })
const app = new Hono()
app.use(forHono({ limits: '25/hour' }))
app.get('/', served)
const brief = rateThrottle({ limits: '1/second' })

async function listen(fetch) {
  const where = { port: 0, hostname: '127.0.0.1' }
  if ('Bun' in globalThis) {
    const server = Bun.serve({ ...where, fetch })
    return { url: `http://127.0.0.1:${server.port}/`, stop: () => server.stop(true) }
  }
  const server = Deno.serve({ ...where, onListen() {} }, fetch)
  return { url: `http://127.0.0.1:${server.addr.port}/`, stop: () => server.shutdown() }
}

for (const [name, handler] of Object.entries({ web: limiter.wrap(served), hono: app.fetch })) {
  runs = 0
  const { url, stop } = await listen(handler)
  // Forged: all of them are one client.
  const headers = (i) => ({ 'x-forwarded-for': `192.0.2.${i}` })
  const ask = async (i) => {
    const response = await fetch(url, { headers: headers(i) })
    await response.text()
    return response.status
  }
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(i)))
  console.log(name, runs, all.filter((status) => status === 200).length)
  await stop()
}
const { url, stop } = await listen(brief.wrap(served))
await (await fetch(url)).text()
const denied = await fetch(url)
await denied.text()
await new Promise((resolve) => setTimeout(resolve, denied.headers.get('retry-after') * 1000))
console.log('told to wait', denied.status, 'then', (await fetch(url)).status)
await stop()

// Bodies without an end: each holds a permit until its client leaves.
const busy = rateThrottle({ concurrent: 2 })
const endless = await listen(
  busy.wrap(() => {
    const pull = async (controller) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      controller.enqueue(new TextEncoder().encode('x'))
    }
    return new Response(new ReadableStream({ pull }))
  }),
)
async function hold() {
  const leave = new AbortController()
  const { status } = await fetch(endless.url, { signal: leave.signal })
  return { status, leave: () => leave.abort() }
}
const held = [await hold(), await hold(), await hold()]
for (const one of held) one.leave()
let again = await hold()
for (let i = 0; i < 500 && again.status !== 200; i++) {
  again.leave()
  await new Promise((resolve) => setTimeout(resolve, 10))
  again = await hold()
}
console.log('permits', ...held.map(({ status }) => status), 'then', again.status)
again.leave()
await endless.stop()
busy.close()
