import 'reflect-metadata'
import type { AddressInfo } from 'node:net'
import { Controller, type INestMicroservice, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Payload,
  Transport,
} from '@nestjs/microservices'
import { Limit, RateThrottleModule } from 'ratethrottle/nest'
import { lastValueFrom, of } from 'rxjs'
import { afterEach, expect, it } from 'vitest'
import { closeAll, decorate, start } from './apps.ts'

const CLOSE: (() => unknown)[] = []
afterEach(async () => {
  for (const close of CLOSE.splice(0).reverse()) await close()
})

async function startService(options: object, limits?: string) {
  const runs = { add: 0, stream: 0, note: 0 }
  class MathController {
    add(numbers: number[]): number {
      runs.add++
      return numbers.reduce((a, b) => a + b, 0)
    }
    stream(count: number) {
      runs.stream++
      return of(...Array.from({ length: count }, (_, i) => i))
    }
    note(): void {
      runs.note++
    }
  }
  decorate(MathController, {
    parameters: { add: [Payload()], stream: [Payload()] },
    methods: {
      add: [...(limits === undefined ? [] : [Limit(limits as '1/minute')]), MessagePattern('add')],
      stream: [MessagePattern({ cmd: 'stream' })],
      note: [EventPattern('note')],
    },
    class: [Controller()],
  })
  class AppModule {}
  Module({ imports: [RateThrottleModule.forRoot(options)], controllers: [MathController] })(
    AppModule,
  )
  const app: INestMicroservice = await NestFactory.createMicroservice(AppModule, {
    transport: Transport.TCP,
    options: { port: 0, host: '127.0.0.1' },
    logger: ['fatal'],
  } as never)
  CLOSE.push(() => app.close())
  await app.listen()
  const server = app.unwrap<{ address(): AddressInfo }>()
  const port = server.address().port
  const connect = () => {
    const client = ClientProxyFactory.create({
      transport: Transport.TCP,
      options: { port, host: '127.0.0.1' },
    })
    CLOSE.push(() => client.close())
    return client
  }
  return { runs, connect, app }
}

it('200 messages of a client: as many handlers run as the limit admits', async () => {
  const { runs, connect } = await startService({ limits: '20/hour' })
  const clients = [connect(), connect()]
  const answers = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) =>
      lastValueFrom((clients[i % 2] as ReturnType<typeof connect>).send('add', [i, 1])),
    ),
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
  const client = connect()
  for (let i = 0; i < 5; i++) await lastValueFrom(client.send('add', [1])).catch(() => {})
  for (let i = 0; i < 5; i++) client.emit('note', i).subscribe()
  await lastValueFrom(client.send({ cmd: 'stream' }, 3)).catch(() => {})
  expect(runs).toEqual({ add: 2, stream: 0, note: 4 })
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
  CLOSE.push(closeAll)
  const service = app.connectMicroservice({
    transport: Transport.TCP,
    options: { port: 0, host: '127.0.0.1' },
  })
  await app.startAllMicroservices()
  const { port } = service.unwrap<{ address(): AddressInfo }>().address()
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { port, host: '127.0.0.1' },
  })
  CLOSE.push(() => client.close())
  const answers = await Promise.allSettled(
    Array.from({ length: 10 }, () => lastValueFrom(client.send('add', []))),
  )
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  expect(runs.add).toBe(3)
})
