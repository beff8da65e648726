import { createConnection } from 'node:net'
import { StoreFailure } from '../remote/failure.ts'
import { failureOf } from './failure.ts'

const REACH_MS = 1_000

/**
 * Why a host can't be reached, for ioredis does not say it of Sentinels. Connects, and leaves at once.
 *
 * @param host as ioredis has it in option `sentinels`
 */
export function whyNotReached(host: object): Promise<StoreFailure> {
  return new Promise((resolve) => {
    const socket = createConnection({ port: 26_379, ...host, timeout: REACH_MS })
    const end = (failure: StoreFailure): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.on('error', (error) => end(failureOf(error)))
    socket.on('timeout', () => end(new StoreFailure('disconnected', 'ETIMEDOUT')))
    socket.on('connect', () => end(new StoreFailure('disconnected', 'hangup')))
  })
}
