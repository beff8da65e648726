// 6,000 requests whose key and address are pieces of a 16 KB header: is a piece of it kept afterwards?
import { rateThrottle } from 'ratethrottle/http'

const REQUESTS = 6_000
const PADDING = 'p'.repeat(16_000)
const key = ({ headers }) => headers['x-padded'].slice(-20)
const byKey = rateThrottle({
  limits: '5/day',
  key,
  trust: 'loopback',
  countWhen: 'failure',
  allow: '10.0.0.0/8',
})
const byIp = rateThrottle({ limits: '5/day', trust: 'loopback', allow: '192.0.2.0/24' })

/** Distinct for 80,000 numbers, and none of them in a list. */
function address(i) {
  return `2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}:1:2:3:4`
}

function answer(i) {
  const forwarded = `${PADDING}, ${address(i)}`
  const padded = `${PADDING}${String(i).padStart(20, '0')}`
  const socket = { remoteAddress: '127.0.0.1', destroyed: false }
  // A flat string, as the parser makes them: a concatenation has no parent to hold.
  const flat = (text) => Buffer.from(text).toString('latin1')
  const headers = { 'x-padded': flat(padded), 'x-forwarded-for': flat(forwarded) }
  const request = { method: 'GET', url: '/', headers, socket }
  const listeners = {}
  const response = {
    statusCode: 200,
    headersSent: false,
    destroyed: false,
    writableFinished: true,
    setHeader() {},
    once: (event, listener) => {
      listeners[event] = listener
    },
    off() {},
  }
  const isAdmitted = byKey.admit(request, response) && byIp.admit(request, response)
  listeners.finish()
  return isAdmitted
}

function heapMb() {
  gc()
  gc()
  return process.memoryUsage().heapUsed / 2 ** 20
}

answer(REQUESTS)
const before = heapMb()
let admitted = 0
for (let i = 0; i < REQUESTS; i++) if (answer(i)) admitted++
// Promises that settle the outcome of each.
await new Promise((resolve) => setImmediate(resolve))
console.log(JSON.stringify({ admitted, grownMb: heapMb() - before }))
