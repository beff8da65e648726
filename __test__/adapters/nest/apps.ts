import 'reflect-metadata'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  Controller,
  type DynamicModule,
  Get,
  type INestApplication,
  Module,
  type Provider,
  type Type,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { Limit, RateThrottleModule, SkipLimit } from 'ratethrottle/nest'

export const PLATFORMS = ['express', 'fastify'] as const
export type Platform = (typeof PLATFORMS)[number]

/** A decorator of any kind. */
// biome-ignore lint/suspicious/noExplicitAny: of classes, methods and parameters
type Any = (...target: any[]) => unknown

/** What TypeScript makes of decorators: vitest's transformer does not know those of Nest. */
export interface Decorated {
  readonly class?: readonly Any[]
  readonly methods?: Readonly<Record<string, readonly Any[]>>
  /** By method: decorators of its parameters. */
  readonly parameters?: Readonly<Record<string, readonly Any[]>>
}

/** The class with these decorators, the lowest of each first. */
export function decorate<C extends Type>(Class: C, decorated: Decorated): C {
  const prototype = Class.prototype as object
  for (const [name, list] of Object.entries(decorated.parameters ?? {})) {
    for (const [index, one] of list.entries()) one(prototype, name, index)
  }
  for (const [name, list] of Object.entries(decorated.methods ?? {})) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor
    for (const one of list) one(prototype, name, descriptor)
    Object.defineProperty(prototype, name, descriptor)
  }
  for (const one of decorated.class ?? []) one(Class)
  return Class
}

export interface Parts {
  readonly controllers?: Type[]
  readonly providers?: Provider[]
  readonly imports?: (DynamicModule | Type)[]
  /** Before it starts to listen. */
  prepare?(app: INestApplication): unknown
  /** Of Fastify. */
  readonly trustProxy?: string[]
}

const OPEN = new Set<INestApplication>()

/** Closes the applications that a test has left open. */
export async function closeAll(): Promise<void> {
  for (const app of [...OPEN]) await app.close()
  OPEN.clear()
}

/** An application that listens. */
export async function start(
  platform: Platform,
  parts: Parts,
): Promise<{ app: INestApplication; url: string }> {
  const { controllers = [], providers = [], imports = [], prepare, trustProxy } = parts
  class AppModule {}
  Module({ imports, controllers, providers })(AppModule)
  const adapter =
    platform === 'express'
      ? new ExpressAdapter()
      : new FastifyAdapter(trustProxy === undefined ? {} : { trustProxy })
  const app = await NestFactory.create(AppModule, adapter as never, {
    logger: ['fatal'],
    abortOnError: false,
  })
  OPEN.add(app)
  await prepare?.(app)
  await app.listen(0, '127.0.0.1')
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo
  return { app, url: `http://127.0.0.1:${port}` }
}

/** A controller with one handler of each kind, which counts its runs. */
export function makeCats() {
  const runs = { find: 0, search: 0, free: 0 }
  class CatsController {
    find(): string {
      runs.find++
      return 'found'
    }
    search(): string {
      runs.search++
      return 'searched'
    }
    free(): string {
      runs.free++
      return 'free'
    }
  }
  decorate(CatsController, {
    methods: {
      find: [Get()],
      search: [Limit('2/minute'), Get('search')],
      free: [SkipLimit(), Get('free')],
    },
    class: [Controller('cats')],
  })
  return { CatsController, runs }
}

/** The statuses of so many requests at once, sorted. */
export async function statuses(url: string, count: number, init?: RequestInit): Promise<number[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, async () => {
      const response = await fetch(url, init)
      await response.arrayBuffer()
      return response.status
    }),
  )
  return answers.sort()
}

export { once, RateThrottleModule }
