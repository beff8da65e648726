import type { DynamicModule, MiddlewareConsumer, Provider } from '@nestjs/common'
import type { HttpAdapterHost, ModulesContainer } from '@nestjs/core'
import type { AnyHttpOptions } from '../../http/options.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { invalid, withCode } from '../../validate.ts'
import { AttachedGuard, AttachedInterceptor, attach, methodsOf } from './attached.ts'
import { Engine } from './engine.ts'
import { noteOpeners } from './gateways.ts'
import { ENGINE, RateThrottleGuard, RateThrottleInterceptor } from './guard.ts'
import {
  type CheckedModuleOptions,
  type RateThrottleFactoryOptions,
  type RateThrottleModuleAsyncOptions,
  type RateThrottleModuleOptions,
  type ReadModuleOptions,
  readModuleOptions,
  refuseToken,
} from './options.ts'
import { common, core } from './peers.ts'
import { RateThrottleService } from './service.ts'
import { standBefore } from './shield.ts'

/** The applications that have an engine. */
const APPLICATIONS = new WeakMap<object, Engine>()

/**
 * Limits the handlers of a Nest application: requests of HTTP on Express and Fastify, gateways, GraphQL, microservices.
 *
 * ```ts
 * @Module({ imports: [RateThrottleModule.forRoot({ limits: '100/minute' })] })
 * class AppModule {}
 * ```
 *
 * Import it once. Its counters belong to the application: `app.close()` frees them.
 */
export class RateThrottleModule {
  readonly #engine: Engine
  readonly #host: HttpAdapterHost
  readonly #modules: ModulesContainer

  /** @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted */
  static forRoot<const L extends LimitInput>(options: CheckedModuleOptions<L>): DynamicModule {
    const read = readModuleOptions(options as RateThrottleModuleOptions)
    const { isGlobal, imports, token } = read
    const provider: Provider = {
      provide: ENGINE,
      inject: [
        core.HttpAdapterHost,
        core.ModulesContainer,
        ...(token === undefined ? [] : [token]),
      ],
      useFactory: (host: HttpAdapterHost, modules: ModulesContainer, storage?: object) =>
        open(withStorage(read, storage), host, modules, isGlobal),
    }
    return dynamicModule(provider, isGlobal, [...imports])
  }

  /** The same with options that a factory returns, from what it has injected: a configuration, a client of ioredis. */
  static forRootAsync(options: RateThrottleModuleAsyncOptions): DynamicModule {
    if (typeof options?.useFactory !== 'function') {
      const accepted = 'a function that returns the options'
      throw invalid(TypeError, 'INVALID_OPTION', 'useFactory', accepted, options?.useFactory)
    }
    const { isGlobal, imports } = readModuleOptions({
      global: options.global,
      imports: options.imports,
    })
    const provider: Provider = {
      provide: ENGINE,
      inject: [core.HttpAdapterHost, core.ModulesContainer, ...(options.inject ?? [])],
      useFactory: async (
        host: HttpAdapterHost,
        modules: ModulesContainer,
        ...injected: unknown[]
      ) => {
        const given: RateThrottleFactoryOptions = await options.useFactory(...injected)
        refuseToken(given)
        return open(given as AnyHttpOptions, host, modules, isGlobal)
      },
    }
    return dynamicModule(provider, isGlobal, [...imports])
  }

  /** Nest makes it. */
  constructor(engine: object, host: object, modules: object) {
    this.#engine = engine as Engine
    this.#host = host as HttpAdapterHost
    this.#modules = modules as ModulesContainer
    noteOpeners(this.#modules)
    if (this.#engine.isGlobal) attach(this.#modules, RateThrottleModule)
  }

  /** Called by Nest before it declares its routes. */
  configure(_consumer: MiddlewareConsumer): void {
    standBefore(this.#host, this.#engine)
  }

  /** Called by Nest when all modules are there: opens the limits of decorators, so that a wrong one stops the start. */
  async onModuleInit(): Promise<void> {
    for (const { controllers, providers } of this.#modules.values()) {
      for (const { metatype } of [...controllers.values(), ...providers.values()]) {
        const { prototype } = (metatype ?? {}) as { readonly prototype?: unknown }
        if (typeof prototype !== 'object' || prototype === null) continue
        this.#engine.limiters.openAll(metatype as object, methodsOf(prototype))
      }
    }
    await this.#engine.limiters.ready()
  }

  /** Called by Nest when the application closes, before it waits for the requests in flight. */
  onModuleDestroy(): void {
    this.#engine.limiters.release()
  }

  /** Called by Nest when nothing is served any more. */
  onApplicationShutdown(): void {
    this.#engine.limiters.close()
  }
}

common.Module({})(RateThrottleModule)
common.Inject(ENGINE)(RateThrottleModule, undefined, 0)
common.Inject(core.HttpAdapterHost)(RateThrottleModule, undefined, 1)
common.Inject(core.ModulesContainer)(RateThrottleModule, undefined, 2)

function dynamicModule(
  engine: Provider,
  isGlobal: boolean,
  imports: NonNullable<DynamicModule['imports']>,
): DynamicModule {
  const service: Provider = {
    provide: RateThrottleService,
    inject: [ENGINE],
    useFactory: (made: Engine) => new RateThrottleService(made),
  }
  const everywhere: Provider[] = [
    { provide: core.APP_GUARD, useExisting: RateThrottleGuard },
    { provide: core.APP_INTERCEPTOR, useExisting: RateThrottleInterceptor },
    AttachedGuard,
    AttachedInterceptor,
  ]
  return {
    module: RateThrottleModule,
    // Guards of all modules ask it.
    global: true,
    imports,
    providers: [
      engine,
      service,
      RateThrottleGuard,
      RateThrottleInterceptor,
      ...(isGlobal ? everywhere : []),
    ],
    exports: [ENGINE, RateThrottleService, RateThrottleGuard, RateThrottleInterceptor],
  }
}

/** @throws Error with code INVALID_OPTION if the application has one: each handler would be counted twice */
function open(
  options: AnyHttpOptions,
  host: HttpAdapterHost,
  modules: ModulesContainer,
  isGlobal: boolean,
): Engine {
  if (APPLICATIONS.has(modules)) {
    const message =
      'RateThrottleModule.forRoot must be imported once by an application: its other modules need no import of it'
    throw withCode(new Error(message), 'INVALID_OPTION')
  }
  const engine = new Engine(options, host, isGlobal)
  APPLICATIONS.set(modules, engine)
  return engine
}

function withStorage(
  { options, token }: ReadModuleOptions,
  storage: object | undefined,
): AnyHttpOptions {
  return token === undefined ? options : { ...options, storage }
}
