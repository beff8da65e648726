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
import { decorate } from './apps.ts'

const CLOSE: (() => unknown)[] = []

/** Closes what a test has left open, the newest first. */
export async function closeServices(): Promise<void> {
  for (const close of CLOSE.splice(0).reverse()) await close()
}

/** Has it closed after the test. */
export function later(close: () => unknown): void {
  CLOSE.push(close)
}

/** A client of a microservice. */
export function connectTo(port: number) {
  const options = { port, host: '127.0.0.1' }
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options })
  later(() => client.close())
  const ask = (pattern: unknown, data: unknown = []): Promise<unknown> =>
    lastValueFrom(client.send(pattern, data))
  return { client, ask }
}

/** A transport over TCP, for a port that the system chooses. */
export const TCP = { transport: Transport.TCP, options: { port: 0, host: '127.0.0.1' } } as const

export function portOf(service: INestMicroservice): number {
  return service.unwrap<{ address(): AddressInfo }>().address().port
}

/** A microservice that counts the runs of its handlers. */
export async function startService(options: object, limits?: string) {
  const runs = { add: 0, stream: 0, note: 0, stuck: 0 }
  class MathController {
    add(numbers: number[]): number {
      runs.add++
      return numbers.reduce((a, b) => a + b, 0)
    }
    stream(count: number) {
      runs.stream++
      return of(...Array.from({ length: count }, (_, i) => i))
    }
    stuck(): Promise<never> {
      runs.stuck++
      return new Promise(() => {})
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
      stuck: [MessagePattern('stuck')],
      note: [EventPattern('note')],
    },
    class: [Controller()],
  })
  class AppModule {}
  Module({ imports: [RateThrottleModule.forRoot(options)], controllers: [MathController] })(
    AppModule,
  )
  const app: INestMicroservice = await NestFactory.createMicroservice(AppModule, {
    ...TCP,
    logger: ['fatal'],
  })
  later(() => app.close())
  await app.listen()
  return { runs, connect: () => connectTo(portOf(app)), app }
}
