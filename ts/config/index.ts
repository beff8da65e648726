/*
 * ratethrottle/config: limiters and routes from a file, checked before they are used and replaced while the server
 * runs.
 */

export { Config } from './config.ts'
export { type ConfigObject, defineConfig, type LimiterObject } from './define.ts'
export { loadConfig } from './load.ts'
export type { ConfigLimiter } from './plain.ts'
export { type CheckResult, checkConfig } from './read.ts'
export { type JsonSchema, schema } from './schema.ts'
export { ConfigError, type ConfigProblem } from './tree.ts'
export type { ConfigState, LoadOptions, ReloadResult } from './types.ts'
