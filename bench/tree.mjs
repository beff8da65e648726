import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Names the built tree whose `ratethrottle` a lane loads; this one without it. */
export const TREE = 'RATETHROTTLE_BENCH_TREE'

const tree = resolve(process.env[TREE] ?? join(import.meta.dirname, '..'))

/** Imports `ratethrottle/…` of that tree. Whatever else a lane loads is this tree's. */
export function importOurs(name) {
  const path = createRequire(join(tree, 'package.json')).resolve(name)
  return import(pathToFileURL(path).href)
}
