import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { randomFor } from '../fixtures/random.ts'
import { problemsOf } from './emitted.ts'
import { type Hostile, randomHostile } from './hostile/requests.ts'
import { ask, N, openSubjects, type Subject } from './hostile/subjects.ts'

const { RATETHROTTLE_HOSTILE: given } = process.env
const REQUESTS = Number(given ?? byLength(8_000, 50_000))
/** Small enough that each subject has some. */
const BATCH = 250

const crashes: unknown[] = []
const onCrash = (error: unknown): number => crashes.push(error)
beforeAll(() => {
  process.on('uncaughtException', onCrash)
  process.on('unhandledRejection', onCrash)
})
afterAll(() => {
  process.off('uncaughtException', onCrash)
  process.off('unhandledRejection', onCrash)
})

interface Asked {
  readonly hostile: Hostile
  readonly response: ServerResponse
}

/** How often each caller was asked for and served, by subject. */
class Tally {
  readonly asked = new Map<string, number>()
  readonly ran = new Map<string, number>()

  add(counts: Map<string, number>, caller: string): void {
    counts.set(caller, (counts.get(caller) ?? 0) + 1)
  }
}

it(`${REQUESTS.toLocaleString('en')} hostile requests cause no crash, no unlimited path, no 5xx and no invalid header`, async () => {
  const random = randomFor('hostile requests')
  const callers = new WeakMap<IncomingMessage, string | undefined>()
  const tallies = new Map<Subject, Tally>()
  let tally = new Tally()
  const ran = (request: IncomingMessage): void => {
    tally.add(tally.ran, callers.get(request) ?? 'no client')
  }
  const subjects = await openSubjects(ran)
  const startedAt = performance.now()
  const seen = new Map<number, number>()
  for (let sent = 0; sent < REQUESTS; sent += BATCH) {
    const subject = random.pick(subjects)
    tally = tallies.get(subject) ?? new Tally()
    tallies.set(subject, tally)
    const batch: Asked[] = []
    for (let i = 0; i < BATCH; i++) {
      const hostile = randomHostile(random, subject.header)
      const caller = subject.caller(hostile)
      if (caller !== undefined) tally.add(tally.asked, caller)
      const response = ask(subject, hostile, (request) => callers.set(request, caller))
      batch.push({ hostile, response })
    }
    await new Promise((resolve) => setImmediate(resolve))
    for (const asked of batch) judge(subject, asked, seen)
    tell(sent + BATCH, startedAt)
  }
  for (const [subject, counts] of tallies) judgeTally(subject, counts)
  for (const subject of subjects) await subject.close()
  expect(crashes).toEqual([])
  console.log(`hostile requests: statuses ${JSON.stringify(Object.fromEntries([...seen].sort()))}`)
  expect(seen.get(200)).toBeGreaterThan(0)
  expect(seen.get(429)).toBeGreaterThan(0)
}, 1_200_000)

function judge({ name }: Subject, { hostile, response }: Asked, seen: Map<number, number>): void {
  const { statusCode: status } = response
  seen.set(status, (seen.get(status) ?? 0) + 1)
  const problems = problemsOf(response.getHeaders())
  if (!response.writableEnded) problems.push('no answer')
  if (status >= 500) problems.push(`status ${status}`)
  if (status === 429 && response.getHeader('retry-after') === undefined)
    problems.push('no Retry-After')
  if (problems.length > 0) expect({ name, hostile, problems }).toEqual({})
}

/** No client is served more than N times; where no router interferes, none less often either. */
function judgeTally({ name, routes }: Subject, { asked, ran }: Tally): void {
  expect(ran.has('no client'), `${name} served a request without a client`).toBe(false)
  for (const [caller, count] of ran) {
    if (count > N) expect(`${name}: ${caller} was served ${count} times`).toBe('')
  }
  if (routes) return
  for (const [caller, count] of asked) {
    const served = ran.get(caller) ?? 0
    if (served !== Math.min(N, count)) expect(`${name}: ${caller}: ${served} of ${count}`).toBe('')
  }
}

function tell(done: number, startedAt: number): void {
  if (done % 100_000 !== 0) return
  const perSecond = Math.round((1_000 * done) / (performance.now() - startedAt))
  const figures = [done, REQUESTS, perSecond].map((figure) => figure.toLocaleString('en'))
  console.log(`hostile requests: ${figures[0]} of ${figures[1]}, ${figures[2]} per second`)
}
