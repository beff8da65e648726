import type { CallHandler, CanActivate, ExecutionContext, NestInterceptor } from '@nestjs/common'
import type { ModulesContainer } from '@nestjs/core'
import type { Observable } from 'rxjs'
import { isGateway } from './gateways.ts'
import { ENGINE, RateThrottleGuard, RateThrottleInterceptor } from './guard.ts'
import { common, metadata } from './peers.ts'

/*
 * Nest does not ask global guards about all messages: not in gateways before version 12, and not in the microservices of
 * a hybrid application. Limits that are to hold everywhere must not be left out in silence, so the guard is added to the
 * classes themselves.
 *
 * A class is the same in all applications of a process. What is added to it does nothing in one that did not ask.
 */

interface Global {
  readonly isGlobal: boolean
}

export class AttachedGuard implements CanActivate {
  readonly #guard: RateThrottleGuard | undefined

  constructor(engine: object | undefined) {
    const isMeant = (engine as Global | undefined)?.isGlobal === true
    this.#guard = isMeant ? new RateThrottleGuard(engine) : undefined
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return this.#guard?.canActivate(context) ?? true
  }
}

export class AttachedInterceptor implements NestInterceptor {
  readonly #interceptor: RateThrottleInterceptor | undefined

  constructor(engine: object | undefined) {
    const isMeant = (engine as Global | undefined)?.isGlobal === true
    this.#interceptor = isMeant ? new RateThrottleInterceptor(engine) : undefined
  }

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    return this.#interceptor?.intercept(context, next) ?? next.handle()
  }
}

for (const Enhancer of [AttachedGuard, AttachedInterceptor]) {
  common.Injectable()(Enhancer)
  common.Inject(ENGINE)(Enhancer, undefined, 0)
  common.Optional()(Enhancer, undefined, 0)
}

/** Where Nest keeps what a class was decorated with. */
const PATTERN = 'microservices:pattern'
const GUARDS = '__guards__'
const INTERCEPTORS = '__interceptors__'

type Module = ModulesContainer extends Map<string, infer M> ? M : never

/**
 * Adds the guard to the classes that handle messages. Before Nest reads what they are decorated with.
 *
 * @param owner the module that provides the guard
 */
export function attach(modules: ModulesContainer, owner: object): void {
  const all = [...modules.values()]
  const own = all.find(({ metatype }) => metatype === owner)
  if (own === undefined) return
  for (const module of all) {
    const { controllers, providers } = module
    const hosts = [...controllers.values(), ...providers.values()].map(({ metatype }) => metatype)
    const found = hosts.filter((host) => typeof host === 'function' && handlesMessages(host))
    for (const host of found) attachTo(host as object, module, own)
  }
}

function attachTo(host: object, module: Module, own: Module): void {
  for (const [place, Enhancer] of [
    [GUARDS, AttachedGuard],
    [INTERCEPTORS, AttachedInterceptor],
  ] as const) {
    const provider = own.providers.get(Enhancer)
    if (provider === undefined) continue
    const known = (metadata.getOwnMetadata(place, host) as readonly unknown[] | undefined) ?? []
    if (!known.includes(Enhancer)) {
      const inherited = (metadata.getMetadata(place, host) as readonly unknown[] | undefined) ?? []
      metadata.defineMetadata(place, [Enhancer, ...inherited], host)
    }
    // Where Nest looks for what a class was decorated with.
    if (!module.injectables.has(Enhancer)) module.injectables.set(Enhancer, provider)
  }
}

function handlesMessages(host: object): boolean {
  if (isGateway(host)) return true
  const { prototype } = host as { readonly prototype?: unknown }
  if (typeof prototype !== 'object' || prototype === null) return false
  return methodsOf(prototype).some((method) => metadata.getMetadata(PATTERN, method) !== undefined)
}

/** The methods of a class, those that it inherits included. */
export function methodsOf(prototype: object): readonly object[] {
  const methods = new Map<string, object>()
  for (let at = prototype; at !== Object.prototype && at !== null; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === 'function' && name !== 'constructor' && !methods.has(name)) {
        methods.set(name, value as object)
      }
    }
  }
  return [...methods.values()]
}
