import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type LoginServer, startLogins, storageFor } from './logins.ts'
import { serve } from './serve.ts'

/*
 * What clients receive while a block of several steps begins in one of two processes: `Retry-After` is the
 * block's rest, whichever process answers.
 */

const STEPS = { limits: '5/hour', blockFor: ['15 minutes', '1 hour'] }

async function two(options: object): Promise<[LoginServer, LoginServer]> {
  return Promise.all([startLogins(options), startLogins(options)])
}

/** The Retry-After of the refusals of `count` requests at once, sent to both in turn. */
async function told(servers: readonly LoginServer[], key: string, count: number) {
  const ask = (_: unknown, i: number) => (servers[i % 2] as LoginServer).login('good', 0, key)
  const answers = await Promise.all(Array.from({ length: count }, ask))
  return answers.filter(({ status }) => status === 429).map(({ retryAfter = 0 }) => retryAfter)
}

test('twenty parallel requests to two processes all get the block in Retry-After, at once and later', async () => {
  const wrong: unknown[] = []
  for (const tier of ['redis', 'shared'] as const) {
    for (const scope of [{}, { scope: 'login' }]) {
      const servers = await two({ ...STEPS, ...scope, ...(await storageFor(tier)) })
      for (let round = 0; round < 6; round++) {
        const key = `client-${round}`
        const first = await told(servers, key, 20)
        await sleep(300)
        // Also from what each process remembers.
        const later = await told(servers, key, 6)
        const isRight = [...first, ...later].every((seconds) => seconds > 880 && seconds <= 900)
        const isAll = first.length === 15 && later.length === 6
        if (!isRight || !isAll) wrong.push({ tier, ...scope, round, first, later })
      }
    }
  }
  expect(wrong).toEqual([])
})

test('limits from a function in two processes give the block in Retry-After, also the second step', async () => {
  const steps = { limits: '4/2 hours', blockFor: ['35 minutes', '5 hours'] }
  const where = await storageFor('redis')
  const options = {
    ...where,
    ...steps,
    limits: () => steps.limits,
    name: 'plans',
    key: () => 'ada',
  }
  const servers = [await serve('node:http', options), await serve('Express 5', options)]
  for (const server of servers) await server.ask()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => (servers[i % 2] as (typeof servers)[0]).ask()),
  )
  const told = answers.filter(({ status }) => status === 429)
  expect(told).toHaveLength(18)
  const seconds = told.map(({ headers }) => Number(headers['retry-after']))
  expect(seconds.filter((one) => one < 2_095 || one > 2_100)).toEqual([])
})

test('under a block by steps every refusal by another limit has it in Retry-After', async () => {
  const { ask } = await serve('node:http', {
    limits: ['5/hour', '100/day'],
    blockFor: ['5 minutes', '1 hour'],
    headers: 'both',
  })
  for (let i = 0; i < 5; i++) await ask()
  for (let i = 0; i < 3; i++) {
    const { headers } = await ask()
    const [hour = 0, day = 0] = `${Reflect.get(headers, 'ratelimit')}`
      .split(', ')
      .map((item) => Number(/;t=(\d+)/.exec(item)?.[1]))
    const retryAfter = Number(headers['retry-after'])
    // Of an hour's five one is back in twelve minutes; the day's limit waits for the end of the block.
    expect({ i, retryAfter: retryAfter > 700 && retryAfter <= 720 }).toEqual({
      i,
      retryAfter: true,
    })
    expect(Math.abs(hour - retryAfter)).toBeLessThan(3)
    expect({ i, day: day > 280 && day <= 300 }).toEqual({ i, day: true })
    expect(headers['x-ratelimit-remaining']).toBe('0')
  }
})
