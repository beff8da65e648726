import type { Cluster } from 'node:cluster'
import type { Controls, Figures } from '../insight/types.ts'
import { liveConfigs } from '../live-configs.ts'

/** A process, as `doctor` looks at it. No value of a setting is in it: a URL may hold a password. */
export interface About {
  readonly version: 1
  readonly pid: number
  readonly node: string
  readonly uptimeMs: number
  /** Whether a process manager runs several of it. */
  readonly cluster: 'cluster' | 'pm2' | undefined
  /** Names of variables of the environment that are settings of this package, or look like one. */
  readonly settings: readonly string[]
  readonly limiters: readonly string[]
  readonly reloads: boolean
  /** Configuration files, and whether the last reload of each failed. */
  readonly configs: readonly { readonly file: string | undefined; readonly stale: boolean }[]
  /** The name under which processes share their figures. */
  readonly shared: string | undefined
}

/** Also a misspelt one, which would not be read. */
export const LIKE_A_SETTING: RegExp = /^RATE?_?LIMI?T/i

/** What this process is. */
export function aboutProcess(
  view: Figures & Controls,
  reloads: boolean,
  shared: string | undefined,
): About {
  const names = Object.keys(process.env)
  return {
    version: 1,
    pid: process.pid,
    node: process.versions.node,
    uptimeMs: Math.round(process.uptime() * 1000),
    cluster: clusterOf(),
    settings: names.filter((name) => LIKE_A_SETTING.test(name)).slice(0, 64),
    limiters: [...view.limiters().keys()],
    reloads: reloads || liveConfigs().length > 0,
    configs: liveConfigs().map((config) => {
      const { file, stale } = config.state()
      return { file, stale }
    }),
    shared,
  }
}

function clusterOf(): About['cluster'] {
  const { NODE_APP_INSTANCE } = process.env
  if (NODE_APP_INSTANCE !== undefined) return 'pm2'
  const cluster = process.getBuiltinModule('node:cluster') as unknown as Cluster
  return cluster.isWorker ? 'cluster' : undefined
}
