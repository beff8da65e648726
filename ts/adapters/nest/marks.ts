import type { ExecutionContext } from '@nestjs/common'
import type { AnyHttpOptions } from '../../http/options.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { metadata } from './peers.ts'

/** What `@Limit` leaves on a handler or a class. The same object in all applications: each makes its own limiter of it. */
export interface Mark {
  /** Limits, or options with limits among them. */
  readonly given: LimitInput | LimitsFunction<never> | AnyHttpOptions
  /** Such as `CatsController.find`, or `CatsController`. */
  readonly place: string
  /** Whether the module's own limits do not apply beside it. */
  readonly isAlone: boolean
}

const LIMITS = 'ratethrottle.limits'
const SKIP = 'ratethrottle.skip'

/** Decorators run from the bottom to the top: the topmost one comes first. */
export function addMark(target: object, mark: Mark): void {
  const known = metadata.getOwnMetadata(LIMITS, target) as readonly Mark[] | undefined
  metadata.defineMetadata(LIMITS, [mark, ...(known ?? [])], target)
}

export function setSkip(target: object, isSkipped: boolean): void {
  metadata.defineMetadata(SKIP, isSkipped, target)
}

export function marksOf(target: object): readonly Mark[] {
  return (metadata.getMetadata(LIMITS, target) as readonly Mark[] | undefined) ?? []
}

/** What applies to a handler. */
export interface Applied {
  /** Those of the handler, else those of its class. */
  readonly marks: readonly Mark[]
  /** Whether the module's own limits apply, too. */
  readonly withModule: boolean
}

const NOTHING: Applied = { marks: [], withModule: false }

/** A handler's own decorators take the place of its class's, `@SkipLimit` included. */
export function appliedTo(context: Pick<ExecutionContext, 'getClass' | 'getHandler'>): Applied {
  const handler = context.getHandler()
  const host = context.getClass()
  const own = marksOf(handler)
  const skips = metadata.getMetadata(SKIP, handler)
  if (skips === true) return NOTHING
  const isSkipped = metadata.getMetadata(SKIP, host) === true
  if (isSkipped && skips === undefined && own.length === 0) return NOTHING
  const marks = own.length > 0 ? own : isSkipped ? [] : marksOf(host)
  return { marks, withModule: !marks.some(({ isAlone }) => isAlone) }
}
