import type { Controls, Figures } from '../../dist/insight/types.js'
import type { Limiter } from '../../dist/limiter.js'

export declare function fakeView(
  limiters: ReadonlyMap<string, Limiter>,
  blocked?: Set<string>,
): Figures & Controls
