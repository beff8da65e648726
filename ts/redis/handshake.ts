import { failureAt } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'

/** Connections that were in another database than 0 before: ioredis may take up that one again. */
const moved = new WeakSet<RedisConnection>()

/**
 * Does once more what ioredis does when it connects, and looks at the outcome: where Redis refuses, ioredis
 * goes on, and counts would be kept in database 0.
 *
 * @throws StoreFailure that names the step
 */
export async function shakeHands(link: RedisConnection): Promise<void> {
  const { db = 0, connectionName = '' } = link.options
  if (db > 0) moved.add(link)
  if (moved.has(link)) await step('SELECT', link.select?.(db))
  if (connectionName !== '') await step('CLIENT SETNAME', link.client?.('SETNAME', connectionName))
}

async function step(name: string, outcome: Promise<unknown> | undefined): Promise<void> {
  try {
    await outcome
  } catch (error) {
    throw failureAt(name, error)
  }
}
