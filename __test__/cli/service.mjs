// A real server with an insight: node service.mjs '{ "keys": "plain", "limits": "5/minute" }'
//
// Prints one line of JSON with its pid and its address, and ends with its stdin.
import { createServer } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { insight } from 'ratethrottle/insight'

const given = JSON.parse(process.argv[2] ?? '{}')
const view = insight({ control: true, keys: given.keys, shared: given.shared, name: given.view })
const limiter = new RateLimiter(given.limits ?? '5/minute', {
  name: 'api',
  insight: view,
  ...given.options,
})
const limited = rateThrottle({
  storage: limiter,
  key: (request) => decodeURIComponent(request.headers['x-key'] ?? '203.0.113.9'),
  ...given.http,
})
const server = createServer(limited.wrap((_request, response) => response.end('served')))
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`
  console.log(JSON.stringify({ pid: process.pid, url }))
})
process.stdin.on('end', () => process.exit()).resume()
