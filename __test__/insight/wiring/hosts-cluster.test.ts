import { onTestFinished, test } from 'vitest'
import { startCluster } from '../../redis/cluster.ts'
import { GUARD } from '../../redis/server.ts'
import { proveSums } from './told-sums.ts'

/** What docs/reference/insight.md says that a user needs besides what a limiter does. */
const COMMANDS = ['+hset', '+hget', '+hlen', '+hgetall']

test('four processes tell Redis Cluster what they have counted, as a user with few rights', async () => {
  const cluster = await startCluster()
  onTestFinished(() => cluster.stop())
  for (const { admin } of cluster.servers) {
    await admin.call('ACL', 'SETUSER', GUARD.user, ...COMMANDS)
  }
  await proveSums(cluster.url, '')
})
