import type { EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createLimiter } from 'ratethrottle'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { serverForTest } from '../redis/server.ts'
import type { Client, Wire } from './clients.ts'
import { countTimers, forget, listeners, permits, watch } from './watch.ts'

/*
 * Clients that leave before, during and after the decision about them: of every protocol, wherever it is counted.
 */

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own options
export type Options = any

/** What handlers do: those of clients that stay answer when the test says so, the others at once. */
export class Work {
  readonly entered = new Set<string>()
  /** Messages that handlers were given. */
  heard = 0
  #isOpen = false
  readonly #held: (() => void)[] = []

  run(id: string): Promise<string> | string {
    this.entered.add(id)
    if (this.#isOpen || id.startsWith('go')) return 'done'
    return new Promise((resolve) => this.#held.push(() => resolve('done')))
  }

  end(): void {
    this.#isOpen = true
    for (const go of this.#held) go()
  }
}

/** A server that listens. */
export interface Running {
  client(id: string): Client
  /** What outlives a client. */
  emitters(): readonly EventEmitter[]
  /** One that asks again and again on a connection that lasts, and what lasts as long as that. */
  readonly patient?: { readonly client: Wire; emitters(): readonly EventEmitter[] } | undefined
  /** Whether messages are limited beside calls. */
  readonly hasMessages?: boolean
  close(): unknown
}

export interface Protocol {
  readonly name: string
  start(options: Options, work: Work): Promise<Running>
}

const MOST = 4
const LIMITS = { count: 1_000_000, windowMs: 86_400_000 }
/** Fewer than one client sends. */
const MESSAGES = { count: 20, windowMs: 86_400_000 }
const FIXED = { algorithm: 'fixed-window', name: 'storm' } as const

async function until(what: () => boolean): Promise<boolean> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (what()) return true
    await pause(5)
  }
  return what()
}

async function untilServed(client: Client, id: string, work?: Work): Promise<void> {
  if (await until(() => work?.entered.has(id) === true || client.isAnswered)) return
  throw new Error(`${id} is neither served nor answered: ${JSON.stringify(permits())}`)
}

type Moment = (client: Client, id: string, work: Work, i: number) => Promise<unknown>

const MOMENTS: readonly Moment[] = [
  // Before the request is whole.
  (client) => client.begin(false),
  // While it is decided about: its key takes some milliseconds.
  (client) => client.begin(true),
  (client, _id, _work, i) => client.begin(true).then(() => pause(i % 9)),
  // While it waits for a permit, or is served.
  (client, _id, _work, i) => client.begin(true).then(() => pause(10 + (i % 20))),
  async (client, id, work) => {
    await client.begin(true)
    await untilServed(client, id, work)
  },
  // When it is answered, or as soon as there is an answer.
  async (client, id) => {
    await client.begin(true)
    await untilServed(client, id)
  },
  // While messages of it wait.
  async (client, id, work) => {
    await client.begin(true)
    await untilServed(client, id, work)
    client.flood()
    await pause(5)
  },
]
/** Of the moments: when there is an answer, and the first of those in which a client has to be served. */
const ANSWERED = 5
const WAITING = 4
const BATCH = 50

/** As many as may be are inside: the others can only wait. */
async function waitInVain(client: Client): Promise<void> {
  await client.begin(true)
  if (!(await until(() => permits().waiting > 0))) throw new Error('no client waits')
  await pause(5)
}

async function hangUp(running: Running, work: Work, i: number, isFull: boolean): Promise<void> {
  const moment = i % MOMENTS.length
  const id = `${moment === ANSWERED ? 'go' : 'stay'}-${i}`
  const client = running.client(id)
  const act = isFull && moment >= WAITING ? waitInVain : MOMENTS[moment]
  await act?.(client, id, work, i)
  await client.leave()
}

async function hangUps(running: Running, work: Work, count: number): Promise<void> {
  for (let i = 0; i < count; i += BATCH) {
    const isFull = (i / BATCH) % 2 === 0
    const inside = Array.from({ length: isFull ? MOST : 0 }, (_, k) =>
      running.client(`in-${i + k}`),
    )
    for (const client of inside) await client.begin(true)
    const areIn = await until(() => permits().held >= inside.length)
    expect(areIn).toBe(true)
    const more = Math.min(BATCH, count - i) - inside.length
    await Promise.all(Array.from({ length: more }, (_, k) => hangUp(running, work, i + k, isFull)))
    // Those that have left wait no longer, even while others are inside.
    expect(await until(() => permits().waiting === 0)).toBe(true)
    await Promise.all(inside.map((client) => client.leave()))
  }
}

const areFree = (): boolean => permits().held === 0 && permits().waiting === 0

/** Exactly as many as may be are served of those that stay, and the others wait. */
async function stay(running: Running, work: Work): Promise<void> {
  const before = work.entered.size
  const clients = Array.from({ length: MOST + 3 }, (_, i) => running.client(`on-${before}-${i}`))
  await Promise.all(clients.map((client) => client.begin(true)))
  await until(() => work.entered.size - before >= MOST && permits().waiting >= 3)
  await pause(20)
  const { held, waiting } = permits()
  expect([work.entered.size - before, held, waiting]).toEqual([MOST, MOST, 3])
  await Promise.all(clients.map((client) => client.leave()))
  expect(await until(areFree)).toBe(true)
}

/** However often a client asks, what lasts as long as its connection has no more listeners. */
async function askAgain({ client, emitters }: NonNullable<Running['patient']>): Promise<void> {
  await client.begin(true)
  expect(await until(() => client.isAnswered)).toBe(true)
  const first = listeners(emitters())
  // The connection, and what stands upon it.
  expect(first.length).toBeGreaterThan(0)
  for (let i = 0; i < 20; i++) {
    client.again()
    expect(await until(() => client.isAnswered)).toBe(true)
  }
  await until(() => permits().held === 0 && listeners(emitters()).join() === first.join())
  expect(listeners(emitters())).toEqual(first)
  await client.leave()
  expect(await until(areFree)).toBe(true)
}

/** Where all is counted, and what there is of it for as long as the server. */
interface Tier {
  readonly options: Options
  readonly emitters: readonly EventEmitter[]
}

const TIERS: Record<string, () => Promise<Tier>> = {
  memory: async () => ({ options: { storage: 'memory:' }, emitters: [] }),
  'shared memory': async () => ({
    options: { storage: `shared:hang-ups-${process.pid}` },
    emitters: [],
  }),
  Redis: async () => {
    const { url } = await serverForTest()
    const client = new Redis(url)
    await client.ping()
    onTestFinished(() => client.disconnect())
    // A busy machine is not to make Redis count as away.
    const options = { storage: client, deadlineMs: 30_000 }
    const { stream } = client as unknown as { stream: EventEmitter }
    return { options, emitters: [client, stream] }
  },
}

/** The name of the counters differs, so that no test has the units of another. */
let started = 0

async function prove(protocol: Protocol, tier: Tier, count: number): Promise<void> {
  forget()
  const common = { ...tier.options, ...FIXED, name: `${FIXED.name}${started++}` }
  const limits = { ...common, limits: LIMITS }
  const concurrent = { perKey: MOST, queue: 500 }
  const key = (): Promise<string> => pause(3).then(() => 'all')
  const work = new Work()
  const running = await protocol.start({ ...limits, concurrent, key, messages: MESSAGES }, work)
  onTestFinished(() => {
    work.end()
    return running.close() as Promise<void>
  })
  const charged = counterOf(limits)
  const emitters = (): readonly EventEmitter[] => [...running.emitters(), ...tier.emitters]
  // One that is served at once: no timer of a queue runs yet.
  const first = running.client('go-first')
  await first.begin(true)
  await untilServed(first, 'go-first')
  await first.leave()
  expect(await until(areFree)).toBe(true)
  const before = { listeners: listeners(emitters()), timers: countTimers() }
  await stay(running, work)
  await hangUps(running, work, count)
  expect(await until(areFree), JSON.stringify(permits())).toBe(true)
  expect(work.entered.size).toBeGreaterThan(MOST + count / 10)
  await stay(running, work)
  if (running.patient !== undefined) await askAgain(running.patient)
  await until(
    () => countTimers().alive <= before.timers.alive && countTimers().own <= before.timers.own,
  )
  expect(countTimers().alive).toBeLessThanOrEqual(before.timers.alive)
  expect(countTimers().own).toBeLessThanOrEqual(before.timers.own)
  await until(() => listeners(emitters()).join() === before.listeners.join())
  expect(listeners(emitters())).toEqual(before.listeners)
  // Each that got a permit was charged, and none has had its unit back.
  const used = await charged()
  if (running.hasMessages !== true) {
    expect(used).toBe(permits().admitted)
    return
  }
  // A connection whose client has left is not charged unless it has begun.
  expect(used).toBeGreaterThanOrEqual(work.entered.size)
  const messages = counterOf({ ...common, limits: MESSAGES, name: `${common.name} messages` })
  // Those that waited when their client left were not charged, and none of the others was given back.
  expect(work.heard).toBeGreaterThan(0)
  expect(await messages()).toBeGreaterThanOrEqual(work.heard)
}

/** How many units of these limits are used. */
function counterOf(options: Options): () => Promise<number> {
  const { limits, ...rest } = options
  const counter = createLimiter({ limits, ...rest })
  onTestFinished(() => counter.close() as Promise<void>)
  return async () => limits.count - (await counter.peek('all')).remaining
}

/** Tests all of them: in CI each in one tier, else in all. */
export function proveHangUps(protocols: readonly Protocol[]): void {
  watch()
  // Koa prints it when a connection breaks.
  vi.spyOn(console, 'error').mockImplementation(() => {})
  const tiers = Object.keys(TIERS)
  for (const [i, protocol] of protocols.entries()) {
    for (const name of byLength([tiers[i % tiers.length] as string], tiers)) {
      const count = byLength(100, 1_000)
      const what = `${count} clients that leave earn nothing, and leave nothing`
      test(`${protocol.name}, ${name}: ${what}`, {
        timeout: byLength(120_000, 900_000),
      }, async () => {
        const tier = await (TIERS[name] as () => Promise<Tier>)()
        await prove(protocol, tier, count)
      })
    }
  }
  afterAll(forget)
}
