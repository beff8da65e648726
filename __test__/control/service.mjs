// A process with a control socket: node service.mjs '{ "control": true, "uid": 65534 }'
//
// Prints one line of JSON: where the socket is, or why there is none. Then it stays until its stdin ends, or ends at
// once with `"leave": true`.
import { RateLimiter } from 'ratethrottle'
import { openControl } from '../../dist/control/server.js'
import { fakeView } from './fake-view.mjs'

const { control, uid, umask, leave } = JSON.parse(process.argv[2])
if (umask !== undefined) process.umask(umask)
if (uid !== undefined) process.setuid(uid)
const warnings = []
process.on('warning', ({ code, message }) => warnings.push(`${code}: ${message}`))
const limiters = new Map([
  ['api', new RateLimiter('5/minute')],
  ['hourly', new RateLimiter(['10/second', '100/hour'])],
])

try {
  const { path, ready } = openControl(fakeView(limiters), control)
  const isReady = await ready
  // Warnings come a tick later.
  await new Promise(setImmediate)
  console.log(JSON.stringify({ pid: process.pid, path, isReady, warnings }))
} catch ({ code, message }) {
  console.log(JSON.stringify({ pid: process.pid, code, message, warnings }))
}
if (!leave) process.stdin.on('end', () => process.exit()).resume()
