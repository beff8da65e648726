import { createConnection } from 'node:net'
import { Controller, Get } from '@nestjs/common'
import { RateThrottleModule, RateThrottleService } from 'ratethrottle/nest'
import { afterEach, describe, expect, it } from 'vitest'
import { closeAll, decorate, PLATFORMS, start } from './apps.ts'
import { until } from './sockets.ts'

afterEach(closeAll)

describe.each(PLATFORMS)('%s', (platform) => {
  it('1,000 clients that hang up leave nothing, and earn nothing', async () => {
    let inside = 0
    class SlowController {
      slow(): Promise<never> {
        inside++
        return new Promise(() => {})
      }
    }
    decorate(SlowController, { methods: { slow: [Get()] }, class: [Controller('slow')] })
    const options = { limits: '500/hour', concurrent: 50 }
    const imports = [RateThrottleModule.forRoot(options)]
    const { app, url: root } = await start(platform, { imports, controllers: [SlowController] })
    const { hostname, port } = new URL(root)
    const count = (kind: string): number =>
      process.getActiveResourcesInfo().filter((one) => one === kind).length
    const sockets = count('TCPSocketWrap')
    const leave = (after: 'connect' | 'request' | 'handler') =>
      new Promise<void>((resolve) => {
        const socket = createConnection(Number(port), hostname, () => {
          if (after !== 'connect') socket.write('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n')
          if (after !== 'handler') socket.destroy()
          else setTimeout(() => socket.destroy(), 5)
        })
        socket.on('error', () => {})
        socket.once('close', () => resolve())
      })
    for (let i = 0; i < 10; i++) {
      const kinds = ['connect', 'request', 'handler', 'handler'] as const
      await Promise.all(Array.from({ length: 100 }, (_, k) => leave(kinds[k % 4] ?? 'handler')))
    }
    expect(inside).toBeLessThanOrEqual(500)
    expect(inside).toBeGreaterThan(50)
    await until(() => count('TCPSocketWrap') <= sockets)
    expect(count('Timeout')).toBeLessThan(5)
    // All permits have come back.
    await app.get(RateThrottleService).reset('127.0.0.1')
    const before = inside
    const leaving = new AbortController()
    const { signal } = leaving
    const asked: Promise<unknown>[] = []
    await until(() => {
      asked.push(fetch(`${root}/slow`, { signal }).catch(() => {}))
      return inside >= before + 50
    })
    leaving.abort()
    await Promise.all(asked)
  })
})
