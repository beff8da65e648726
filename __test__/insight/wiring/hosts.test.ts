import { test } from 'vitest'
import { serverForTest } from '../../redis/server.ts'
import { proveSums } from './told-sums.ts'

test('four processes, two of them killed: nothing told is lost, nothing is counted twice', async () => {
  const server = await serverForTest()
  await proveSums(server.url, '')
})

test('the processes of a host that count in one memory tell it once', async () => {
  const server = await serverForTest()
  await proveSums(server.url, `hosts-${process.pid}`)
})
