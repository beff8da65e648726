/*
 * A process of a storm on one host: its threads take permits and give them back, as fast as they can, until it is killed.
 * Its threads are ended too, at any time, and others begin.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { ConcurrencyLimiter } from 'ratethrottle'
import { Diary, now } from './diary.mjs'

const given = workerData ?? JSON.parse(process.argv[2])
const { limits, name, keys, slots, patient, threads, threadMs, diary: path } = given
// The parent has gone.
if (isMainThread) process.on('disconnect', () => process.exit())

const limiter = new ConcurrencyLimiter(limits, { name, shared: true, queue: 100 })
const diary = new Diary(path)
/** How many steps a thread takes in a turn of its event loop. */
const STEPS = 500

/** Takes and gives back at random, without a wait. */
async function run() {
  const held = new Array(slots).fill(undefined)
  for (;;) {
    for (let i = 0; i < STEPS; i++) step(held, Math.floor(Math.random() * slots))
    await turn()
  }
}

function step(held, slot) {
  const had = held[slot]
  if (had !== undefined) {
    held[slot] = undefined
    release(slot, had)
    return
  }
  const key = Math.floor(Math.random() * keys)
  const permit = limiter.tryAcquire(`key ${key}`)
  if (permit === undefined) diary.refused()
  else {
    diary.taken(slot, key, 0, now())
    held[slot] = { key, permit }
  }
}

function release(caller, { key, permit }) {
  const at = now()
  diary.released(caller, key, permit.isLost, at)
  permit.release()
}

/** Waits for its permits. */
async function wait(caller) {
  for (;;) {
    const key = Math.floor(Math.random() * keys)
    const permit = await limiter.acquire(`key ${key}`)
    diary.taken(caller, key, 0, now())
    diary.waited()
    await turn()
    release(caller, { key, permit })
  }
}

/** Ends threads of this process at any time, and starts others. */
async function keep() {
  const running = []
  for (let count = 0; ; count++) {
    const data = { ...given, diary: `${path}.${count}`, threads: 0 }
    running.push(new Worker(new URL(import.meta.url), { workerData: data }))
    if (running.length <= threads) continue
    await sleep(Math.random() * threadMs)
    await running.shift().terminate()
  }
}

void run()
for (let i = 0; i < patient; i++) void wait(slots + i)
if (threads > 0) void keep()
