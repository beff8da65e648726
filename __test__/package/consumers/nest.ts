import type { AddressInfo } from 'node:net'
import { Controller, Get, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { Limit, RateThrottleModule, SkipLimit } from 'ratethrottle/nest'

class CatsController {
  find(): string {
    return 'found'
  }
  search(): string {
    return 'searched'
  }
  free(): string {
    return 'free'
  }
}

/** What a compiler makes of decorators: this program is also run without one. */
function decorate(name: 'find' | 'search' | 'free', ...decorators: MethodDecorator[]): void {
  const { prototype } = CatsController
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
  if (descriptor !== undefined) for (const one of decorators) one(prototype, name, descriptor)
}

decorate('find', Get())
decorate('search', Get('search'), Limit('1/minute', { replace: true }))
decorate('free', Get('free'), SkipLimit())
Controller()(CatsController)

class AppModule {}
Module({
  imports: [RateThrottleModule.forRoot({ limits: '2/hour' })],
  controllers: [CatsController],
})(AppModule)

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: false })
  await app.listen(0, '127.0.0.1')
  const { port } = app.getHttpServer().address() as AddressInfo
  const get = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status
  const root = [await get('/'), await get('/'), await get('/')]
  const search = [await get('/search'), await get('/search')]
  console.log(`${root.join(' ')} / ${search.join(' ')}`)
  await app.close()
}

void main()
