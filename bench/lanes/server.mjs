import assert from 'node:assert/strict'
import { readTask, serveLane } from '../lane.mjs'
import { createApp } from '../peers/fastify-apps.mjs'

const LOOPBACK = '127.0.0.1'
const PROBES = 3

const { subject, case: name } = readTask()
const outcome = name.split('-')[1]

serveLane({ listen, cpuMicros })

/** Answers the port, after the server has shown that it admits or denies as the case wants. */
async function listen() {
  const app = await createApp(subject, outcome)
  await app.listen({ host: LOOPBACK, port: 0 })
  const { port } = app.server.address()
  await assertAnswers(`http://${LOOPBACK}:${port}/`)
  return port
}

/** Processor time of this process so far, in user and kernel mode, garbage collection included. */
function cpuMicros() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The first call may use up the denied case's only unit; the last must be as all timed ones. */
async function assertAnswers(url) {
  let last
  for (let probe = 0; probe < PROBES; probe++) {
    last = await fetch(url)
    await last.text()
  }
  assert.equal(last.status, outcome === 'admit' ? 200 : 429, `${subject} answers ${outcome}`)
  if (subject === 'bare') return
  for (const header of ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']) {
    assert.ok(last.headers.has(header), `${subject} sends ${header}`)
  }
  if (outcome === 'deny') assert.ok(last.headers.has('retry-after'), `${subject} sends retry-after`)
}
