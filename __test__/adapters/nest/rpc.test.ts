import { Controller } from '@nestjs/common'
import { MessagePattern } from '@nestjs/microservices'
import { RateThrottleModule } from 'ratethrottle/nest'
import { shield } from 'ratethrottle/shield'
import { lastValueFrom } from 'rxjs'
import { afterEach, expect, it } from 'vitest'
import { closeAll, decorate, start } from './apps.ts'
import { closeServices, connectTo, later, portOf, startService, TCP } from './services.ts'

afterEach(closeServices)

it('200 messages of a client: as many handlers run as the limit admits', async () => {
  const { runs, connect } = await startService({ limits: '20/hour' })
  const clients = [connect(), connect()]
  const answers = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => clients[i % 2]?.ask('add', [i, 1])),
  )
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(20)
  expect(runs.add).toBe(20)
  const refused = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult
  expect(refused.reason).toEqual({
    status: 'error',
    code: 'RATE_LIMITED',
    statusCode: 429,
    retryAfter: expect.any(Number),
    message: expect.stringContaining('retry in'),
    pattern: 'add',
  })
})

it('a handler has limits of its own, and events are counted, too', async () => {
  const { runs, connect } = await startService({ limits: '6/hour' }, '2/hour')
  const { client, ask } = connect()
  for (let i = 0; i < 5; i++) await ask('add', [1]).catch(() => {})
  for (let i = 0; i < 5; i++) client.emit('note', i).subscribe()
  await ask({ cmd: 'stream' }, 3).catch(() => {})
  expect(runs).toEqual({ add: 2, stream: 0, note: 4, stuck: 0 })
})

it('a shield that blocks a client refuses its messages, and those that no limit counts', async () => {
  const guard = shield({ mode: 'enforce' })
  const { runs, connect } = await startService({ shield: guard })
  const { ask } = connect()
  await ask('add', [1])
  guard.block('127.0.0.1', 60_000)
  await expect(ask('add', [1])).rejects.toMatchObject({ statusCode: 429, pattern: 'add' })
  guard.pardon('127.0.0.1')
  await ask('add', [1])
  expect(runs.add).toBe(2)
  guard.close()
})

it('counts the messages of a hybrid application, which Nest asks no global guard about', async () => {
  const runs = { add: 0 }
  class MathController {
    add(): number {
      runs.add++
      return 1
    }
  }
  decorate(MathController, { methods: { add: [MessagePattern('add')] }, class: [Controller()] })
  const imports = [RateThrottleModule.forRoot({ limits: '3/hour', concurrent: 5 })]
  const { app } = await start('express', { imports, controllers: [MathController] })
  later(closeAll)
  const service = app.connectMicroservice(TCP)
  await app.startAllMicroservices()
  const { client } = connectTo(portOf(service))
  const answers = await Promise.allSettled(
    Array.from({ length: 10 }, () => lastValueFrom(client.send('add', []))),
  )
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  expect(runs.add).toBe(3)
})
