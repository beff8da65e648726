import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { RedisLimiter, STORE_CHANNEL, type StoreChange } from 'ratethrottle/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { admits, failures, limiterForTest, load, sleep, until, untilExact } from './faults.ts'
import { freePort, serverForTest, startServerOn } from './server.ts'
import { Wire } from './wire.ts'

const DEADLINE_MS = 50
const { RATETHROTTLE_LATE_MS: given } = process.env
/** Allowance for a busy machine, on which a process may stand still. Measured figures are in docs/guides/cluster-and-redis.md. */
const LATE_MS = Number(given ?? 1_000)

/** Units that are charged for a key in Redis, as a peek shows them. */
async function charged(url: string, key: string, limit: number, options = {}): Promise<number> {
  const other = new RedisLimiter(`${limit}/hour`, {
    url,
    algorithm: 'fixed-window',
    deadlineMs: 30_000,
    ...options,
  })
  const { remaining } = await other.peek(key)
  await other.close()
  return limit - remaining
}

describe('Redis is down at the start (H57)', () => {
  it('calls are decided locally within the deadline, and exactly soon after Redis is up', async () => {
    const port = await freePort()
    const url = `redis://127.0.0.1:${port}`
    const options = { url, algorithm: 'fixed-window', connectTimeoutMs: DEADLINE_MS } as const
    const limiter = limiterForTest('100/hour', options)
    const down = await load(limiter, { perSecond: 1_000, ms: 1_000, fault: 'down at start' })
    expect(down.errors).toBe(0)
    expect(down.admitted).toBe(100)
    expect(down.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    const server = await startServerOn(port)
    onTestFinished(() => server.stop())
    const start = performance.now()
    await untilExact(limiter)
    // It is asked again a few times a second. A busy machine takes longer.
    expect(performance.now() - start).toBeLessThan(10_000)
    expect(await charged(url, 'k', 100)).toBe(0)
  })
})

describe('Redis freezes (H58, H65)', () => {
  it('calls settle within the deadline, late commands charge nothing, and counts are exact again afterwards', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('100000/hour', {
      url: server.url,
      algorithm: 'fixed-window',
      processes: 1,
    })
    await untilExact(limiter)
    const missed = failures(limiter)
    const before = await load(limiter, { ms: 500 })
    const stopped = failures(limiter)
    server.signal('SIGSTOP')
    const frozen = await load(limiter, { ms: 1_500, fault: 'frozen' })
    server.signal('SIGCONT')
    await untilExact(limiter)
    const resumed = failures(limiter)
    const after = await load(limiter, { ms: 500 })
    // What a busy machine has kept Redis from deciding before and afterwards, and in between one that was under way.
    const late = stopped - missed + failures(limiter) - resumed + 1
    expect([before.errors, frozen.errors, after.errors]).toEqual([0, 0, 0])
    expect(frozen.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    const { outages, failures: by } = limiter.stats()
    expect(outages).toBeGreaterThan(0)
    expect(by.timeout).toBeGreaterThan(0)
    expect(by.unavailable).toBeGreaterThan(frozen.calls / 2)
    // Calls made while Redis was frozen were decided by onError, and are not charged when it resumes.
    const units = await charged(server.url, 'k', 100_000)
    expect(units).toBeGreaterThanOrEqual(before.calls + after.calls - late)
    expect(units).toBeLessThanOrEqual(before.calls + after.calls)
  })

  it('a burst sent to a frozen Redis is not charged when it resumes', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    server.signal('SIGSTOP')
    await Promise.all(Array.from({ length: 200 }, () => limiter.check('k')))
    await sleep(100)
    server.signal('SIGCONT')
    await untilExact(limiter)
    await sleep(200)
    expect(await charged(server.url, 'k', 1_000)).toBe(0)
  })
})

describe('Redis is killed and comes back (H60, H57)', () => {
  it('calls are decided locally at once, and exactly within two seconds of the restart', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    server.signal('SIGKILL')
    const down = await load(limiter, { ms: 1_000, fault: 'killed' })
    expect([down.errors, down.admitted]).toEqual([0, down.calls])
    expect(down.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    await server.restart()
    const start = performance.now()
    await untilExact(limiter)
    // It is asked again a few times a second. A busy machine takes longer.
    expect(performance.now() - start).toBeLessThan(10_000)
    expect(await charged(server.url, 'k', 1_000)).toBe(0)
  })
})

describe('the connection is cut before the answer (H64)', () => {
  it('a call is charged once or not at all, whether or not its answer arrived', async () => {
    const server = await serverForTest()
    const wire = await Wire.before(server.port)
    const limiter = limiterForTest('100000/hour', { url: wire.url, algorithm: 'fixed-window' })
    for (let round = 0; round < 10; round++) {
      await untilExact(limiter)
      wire.cutAfterRequest = (bytes) => bytes.includes('cut-me')
      const calls = Array.from({ length: 20 }, () => limiter.check(`cut-me-${round}`))
      const decisions = await Promise.all(calls)
      wire.cutAfterRequest = undefined
      expect(decisions.every(({ allowed }) => allowed)).toBe(true)
      expect(await charged(server.url, `cut-me-${round}`, 100_000)).toBeLessThanOrEqual(20)
    }
    expect(limiter.stats().failures.disconnected).toBeGreaterThan(0)
  })

  it('a socket that the server has lost is closed by the client', async () => {
    const server = await serverForTest()
    const wire = await Wire.before(server.port)
    const limiter = limiterForTest('100000/hour', { url: wire.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    wire.silent = true
    const silent = await load(limiter, { ms: 1_000, fault: 'half-open socket' })
    expect(silent.errors).toBe(0)
    expect(silent.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    wire.silent = false
    await untilExact(limiter)
  })
})

describe('Redis refuses (H61, H62)', () => {
  it('READONLY after a demotion: onError decides', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    await server.admin.replicaof('127.0.0.1', await freePort())
    const demoted = await load(limiter, { ms: 500, fault: 'READONLY' })
    expect([demoted.errors, demoted.admitted]).toEqual([0, demoted.calls])
    expect(demoted.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    await server.admin.replicaof('NO', 'ONE')
    await untilExact(limiter)
  })

  it('OOM under noeviction: onError decides', async () => {
    const server = await serverForTest('--maxmemory-policy', 'noeviction')
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    await server.admin.config('SET', 'maxmemory', '1')
    const full = await load(limiter, { ms: 300, fault: 'OOM' })
    expect([full.errors, full.admitted]).toEqual([0, full.calls])
    expect(limiter.stats().failures.refused).toBeGreaterThan(0)
    await server.admin.config('SET', 'maxmemory', '0')
    await untilExact(limiter)
  })

  it('eviction under allkeys-lru is no error; an evicted key counts from zero', async () => {
    const server = await serverForTest('--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru')
    const options = { url: server.url, algorithm: 'fixed-window', deadlineMs: 30_000 } as const
    const limiter = limiterForTest('3/hour', options)
    await untilExact(limiter)
    for (let batch = 0; batch < 40; batch++) {
      const keys = Array.from({ length: 500 }, (_, i) => `flood ${batch} ${i}`)
      const answers = await Promise.all(keys.map((key) => admits(limiter, key)))
      expect(answers.every((allowed) => allowed)).toBe(true)
    }
    expect(failures(limiter)).toBe(0)
    const stats = await server.admin.info('stats')
    expect(Number(/evicted_keys:(\d+)/.exec(stats)?.[1])).toBeGreaterThan(0)
  })

  it('BUSY with the script of another client: onError decides', async () => {
    const server = await serverForTest('--busy-reply-threshold', '100')
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    const killer = server.admin.duplicate()
    await killer.ping()
    const endless = server.admin.eval('while true do end', 0).catch(() => {})
    const busy = await load(limiter, { ms: 600, fault: 'BUSY' })
    expect([busy.errors, busy.admitted]).toEqual([0, busy.calls])
    expect(busy.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    await killer.script('KILL')
    killer.disconnect()
    await endless
    await untilExact(limiter)
  })

  it('LOADING its data: onError decides', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1000/hour', { url: server.url, algorithm: 'fixed-window' })
    await untilExact(limiter)
    const fill = 'for i = 1, 2000 do redis.call("SET", "filler" .. i, string.rep("x", 100)) end'
    await server.admin.eval(fill, 0)
    await server.admin.save()
    await server.restart(
      '--key-load-delay',
      '500',
      '--loading-process-events-interval-bytes',
      '1024',
    )
    const loading = await load(limiter, { ms: 500, fault: 'LOADING' })
    expect([loading.errors, loading.admitted]).toEqual([0, loading.calls])
    expect(loading.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    await untilExact(limiter)
  })

  it('a user without permission to run scripts: one reason, and onError decides', async () => {
    const server = await serverForTest()
    await server.admin.acl('SETUSER', 'weak', 'on', '>s3cret', '~*', '+@all', '-evalsha', '-eval')
    const changes: StoreChange[] = []
    const limiter = limiterForTest('5/hour', {
      url: `redis://weak:s3cret@127.0.0.1:${server.port}`,
      onStoreChange: (change) => changes.push(change),
    })
    expect(await admits(limiter, 'k')).toBe(true)
    await until(() => changes.length > 0)
    expect(changes[0]?.available).toBe(false)
    expect(JSON.stringify([changes, limiter])).not.toContain('s3cret')
  })
})

describe('the script cache is flushed (H63)', () => {
  it('no caller notices, and the count is exact', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('3000/hour', {
      url: server.url,
      algorithm: 'fixed-window',
      deadlineMs: 30_000,
    })
    await untilExact(limiter)
    const flushing = setInterval(() => void server.admin.script('FLUSH'), 10)
    onTestFinished(() => clearInterval(flushing))
    let admitted = 0
    for (let batch = 0; batch < 80; batch++) {
      const answers = Array.from({ length: 50 }, () => admits(limiter, 'k'))
      admitted += (await Promise.all(answers)).filter((allowed) => allowed).length
    }
    expect(admitted).toBe(3_000)
    expect(failures(limiter)).toBe(0)
    const info = await server.admin.info('memory')
    expect(Number(/number_of_cached_scripts:(\d+)/.exec(info)?.[1])).toBeLessThanOrEqual(2)
  })
})

describe('onError is followed (H66)', () => {
  it('open admits, closed denies, local counts with the share of this process', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`
    const open = limiterForTest('2/hour', { url, onError: 'open' })
    const closed = limiterForTest('2/hour', { url, onError: 'closed' })
    const local = limiterForTest('10/hour', { url, onError: 'local', processes: 4 })
    const admitted = async (limiter: RedisLimiter<string>): Promise<number> => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => admits(limiter, 'k')))
      return answers.filter((allowed) => allowed).length
    }
    expect([await admitted(open), await admitted(closed), await admitted(local)]).toEqual([
      12, 0, 3,
    ])
    const denied = await closed.check('k')
    expect(denied).toEqual({
      allowed: false,
      limit: 2,
      remaining: 0,
      resetMs: 1_000,
      limitResetMs: 1_000,
      retryAfterMs: 1_000,
      retryAfter: 1,
      policy: 0,
    })
    expect((await local.check('k')).limit).toBe(10)
  })

  it('a denial by Redis is never overruled by the fallback', async () => {
    const server = await serverForTest()
    const limiter = limiterForTest('1/hour', {
      url: server.url,
      onError: 'open',
      deadlineMs: 30_000,
    })
    await untilExact(limiter)
    await limiter.check('k')
    for (let i = 0; i < 50; i++) expect(await admits(limiter, 'k')).toBe(false)
    expect(failures(limiter)).toBe(0)
  })
})

describe('the events of an outage (H75, H77)', () => {
  it('one event when it begins and one when it ends, without address or password', async () => {
    const server = await serverForTest('--requirepass', 'hunter2')
    const published: unknown[] = []
    const listener = (message: unknown): void => void published.push(message)
    subscribe(STORE_CHANNEL, listener)
    onTestFinished(() => void unsubscribe(STORE_CHANNEL, listener))
    const changes: StoreChange[] = []
    const limiter = limiterForTest('1000/hour', {
      url: `redis://:hunter2@127.0.0.1:${server.port}`,
      deadlineMs: 30_000,
      onStoreChange: (change) => changes.push(change),
    })
    await untilExact(limiter)
    server.signal('SIGKILL')
    await load(limiter, { ms: 500 })
    await server.restart()
    await untilExact(limiter)
    expect(changes.map(({ available }) => available)).toEqual([false, true])
    expect(published).toEqual(changes)
    expect(changes[1]?.downMs).toBeGreaterThan(400)
    expect(JSON.stringify([published, limiter, limiter.storage, limiter.stats()])).not.toMatch(
      /hunter2|127\.0\.0\.1/,
    )
  })
})

describe('another client stalls Redis (H76)', () => {
  it('a stall of two seconds does not delay calls beyond their deadline', async () => {
    const server = await serverForTest('--enable-debug-command', 'yes')
    const limiter = limiterForTest('100000/hour', { url: server.url })
    await untilExact(limiter)
    const stall = server.admin.debug('SLEEP', '2')
    const stalled = await load(limiter, { ms: 600, fault: 'stall of 2 s' })
    await stall
    expect(stalled.errors).toBe(0)
    expect(stalled.longestMs).toBeLessThan(DEADLINE_MS + LATE_MS)
    await untilExact(limiter)
  })
})
