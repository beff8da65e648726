// A real server with an insight: node service.mjs '{ "keys": "plain", "limits": "5/minute" }'
//
// Prints one line of JSON with its pid and its address, and ends with its stdin.
import { createServer } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { loadConfig } from 'ratethrottle/config'
import { byHeader, byIp, firstOf, rateThrottle } from 'ratethrottle/http'
import { insight } from 'ratethrottle/insight'

const given = JSON.parse(process.argv[2] ?? '{}')
const { limits = '5/minute' } = given
const view = insight({ control: true, keys: given.keys, shared: given.shared, name: given.view })
const limiterOptions = { name: 'api', insight: view, ...given.options }
/** The key is what the client says, so that a test can have many clients. */
const anyKey = (request) => decodeURIComponent(request.headers['x-key'] ?? '203.0.113.9')
const key = given.byIp ? byIp() : given.header ? firstOf(byHeader(given.header), byIp()) : anyKey

async function storageOrLimits() {
  if (given.config !== undefined) return { config: await loadConfig(given.config) }
  if (given.adapter) return { limits, insight: view }
  return { storage: new RateLimiter(limits, limiterOptions) }
}

const limited = rateThrottle({ key, ...given.http, ...(await storageOrLimits()) })
const server = createServer(limited.wrap((_request, response) => response.end('served')))
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`
  console.log(JSON.stringify({ pid: process.pid, url }))
})
process.stdin.on('end', () => process.exit()).resume()
