import assert from 'node:assert/strict'
import { readTask, serveLane } from '../lane.mjs'
import { ADMIT, DENY } from '../limits.mjs'
import { PLAIN } from '../peers/http-answers.mjs'
import { isByHand, startServer } from '../peers/http-servers.mjs'

const LOOPBACK = '127.0.0.1'
const PROBES = 3
const HEADERS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']

const { subject, case: name } = readTask()
const [framework, outcome] = name.split('-')
const limit = outcome === 'admit' ? ADMIT : DENY

serveLane({ listen, cpuMicros })

/** Answers the port, after the server has shown that it admits or denies as the case wants. */
async function listen() {
  const isDenied = outcome === 'deny'
  const server = await startServer({ framework, subject, isDenied, limit })
  // Express keeps Node's five seconds, and a server waits longer than that for its next turn.
  server.keepAliveTimeout = 0
  const { port } = server.address()
  await assertAnswers(`http://${LOOPBACK}:${port}/`)
  return port
}

/** Processor time of this process so far, in user and kernel mode, garbage collection included. */
function cpuMicros() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The first call uses up the denied case's only unit; the others must be as all timed ones. */
async function assertAnswers(url) {
  for (let probe = 0; probe < PROBES; probe++) {
    const admits = outcome === 'admit' || (!isByHand(subject) && probe < limit.count)
    const response = await fetch(url)
    await response.text()
    assert.equal(response.status, admits ? 200 : 429, `${subject}, ${name}, call ${probe + 1}`)
    if (subject !== PLAIN) assertHeaders(response.headers, admits)
  }
}

function assertHeaders(headers, admits) {
  for (const header of HEADERS) {
    assert.match(headers.get(header) ?? 'none', /^\d+$/, `${subject}, ${name}, ${header}`)
  }
  assert.equal(headers.get('x-ratelimit-limit'), String(limit.count))
  if (!admits)
    assert.match(headers.get('retry-after') ?? 'none', /^\d+$/, `${subject}, retry-after`)
}
