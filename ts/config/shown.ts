import type { InsightInput } from '../counting.ts'
import type { InsightOptions } from '../insight/options.ts'
import type { Insight } from '../insight/view.ts'
import type { Options } from './options.ts'
import type { ConfigState, ReloadResult } from './types.ts'

/** What an insight shows of a configuration, and what its control socket may do to it. */
interface Shown {
  readonly isClosed: boolean
  state(): ConfigState
  reload(): Promise<ReloadResult>
}

/** Opens the insight that a file asks for. It is loaded for those who have one only. */
export function openInsight({ control, ...options }: Options, config: Shown): Insight {
  const loaded = require('../insight/index.js') as typeof import('../insight/index.ts')
  const reload = (): Promise<ReloadResult> => config.reload()
  const hasSocket = control !== undefined && control !== false
  const socket = hasSocket && {
    control: { ...(control === true ? {} : (control as object)), reload },
  }
  const insight = loaded.insight({ ...options, ...socket } as InsightOptions)
  showState(insight, config)
  return insight
}

/** Has an insight show whether the last reload failed. */
export function showState(insight: unknown, config: Shown): void {
  const { configured } = (insight ?? {}) as Partial<InsightInput>
  if (typeof configured !== 'function') return
  let last = config.state()
  configured.call(insight, () => {
    // Of one that was closed, the last.
    if (!config.isClosed) last = config.state()
    const { stale, loadedAt } = last
    return { stale, loadedAt }
  })
}
