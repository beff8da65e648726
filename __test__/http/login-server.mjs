// A server with a limited login, one of several that share a store. Prints its port.
// GET /good?ms=20 answers 200 after 20 ms, /bad?ms=20 answers 401, /runs how often a login ran.
import { createServer } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'

const limiter = rateThrottle({
  ...JSON.parse(process.argv[2]),
  skip: ({ url }) => url === '/runs',
  key: ({ headers }) => headers['x-key'] ?? 'ada',
})
let runs = 0
const server = createServer(
  limiter.wrap((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://x')
    if (pathname === '/runs') return response.end(String(runs))
    runs++
    return setTimeout(
      () => {
        response.statusCode = pathname === '/good' ? 200 : 401
        response.end('done')
      },
      Number(searchParams.get('ms') ?? 0),
    )
  }),
)
for (let i = 0; i < 200; i++) {
  const status = await limiter.ready?.()
  if (status === undefined || status.available) break
  await new Promise((resolve) => setTimeout(resolve, 50))
}
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${server.address().port}\n`)
})
