import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { ROOT } from '../fixtures/child.ts'
import { admits, failures, limiterForTest, sleep } from './faults.ts'
import { serverForTest } from './server.ts'

/** The rule as docs/guides/cluster-and-redis.md tells users to write it. */
function documentedRule(): string[] {
  const page = readFileSync(join(ROOT, 'docs/guides/cluster-and-redis.md'), 'utf8')
  const [, rule = ''] = /```text\n(ACL SETUSER [^`]*)```/.exec(page) ?? []
  return rule.trim().split(/\s+/).slice(2)
}

it('the permissions in the docs are enough', async () => {
  const server = await serverForTest()
  const [user = '', ...rule] = documentedRule()
  await server.admin.acl('SETUSER', user, ...rule)
  const url = `redis://${user}:password@127.0.0.1:${server.port}/0`
  for (const algorithm of ALGORITHMS) {
    const limiter = limiterForTest('3/200ms', { url, algorithm, deadlineMs: 5_000 })
    for (let i = 0; i < 5; i++) await limiter.check('k')
    await limiter.refund('k')
    await limiter.block('k', 10)
    await limiter.reset('k')
    await limiter.check('k')
    await sleep(450)
    expect(await admits(limiter, 'k')).toBe(true)
    expect([algorithm, failures(limiter)]).toEqual([algorithm, 0])
  }
})
