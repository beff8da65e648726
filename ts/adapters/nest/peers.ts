import { requirePeer } from '../../peers.ts'

/*
 * Nest is loaded by `require`: since version 12 it is ES modules, which Node loads so since 20.19. The classes are those
 * that the application imports.
 */

const ASKER = 'ratethrottle/nest'

export const common: typeof import('@nestjs/common') = requirePeer('@nestjs/common', ASKER, () =>
  require('@nestjs/common'),
)
export const core: typeof import('@nestjs/core') = requirePeer('@nestjs/core', ASKER, () =>
  require('@nestjs/core'),
)
export const rxjs: Pick<typeof import('rxjs'), 'finalize' | 'map' | 'tap'> = requirePeer(
  'rxjs',
  ASKER,
  () => require('rxjs'),
)

/** Only an application that has a gateway has this package. */
export function websockets(): typeof import('@nestjs/websockets') {
  return requirePeer('@nestjs/websockets', ASKER, () => require('@nestjs/websockets'))
}

/** Only an application that has microservices has this package. */
export function microservices(): typeof import('@nestjs/microservices') {
  return requirePeer('@nestjs/microservices', ASKER, () => require('@nestjs/microservices'))
}

/** What reflect-metadata, which Nest loads, adds to `Reflect`. */
interface Metadata {
  defineMetadata(name: string, value: unknown, target: object): void
  getMetadata(name: string, target: object): unknown
  getOwnMetadata(name: string, target: object): unknown
}

export const metadata: Metadata = Reflect as unknown as Metadata
