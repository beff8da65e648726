import type { Application } from 'express'
import { type Layer, layersOf } from './stack.ts'

/** Apps in which one was found. They don't lose it again. */
const HANDLING = new WeakSet<object>()
/** How many arguments tell an error handler from a middleware, in Express. */
const ERROR_HANDLER_ARGUMENTS = 4
const DEEPEST = 16

/** Whether an app, or one it is mounted in, has error handlers of its own. */
export function hasErrorHandler(app: Application): boolean {
  if (HANDLING.has(app)) return true
  const { parent } = app as unknown as { parent?: Application }
  const has = search(app) || (parent !== undefined && hasErrorHandler(parent))
  if (has) HANDLING.add(app)
  return has
}

/** Apps in which none was found: when, and among how many layers. */
const SEARCHED = new WeakMap<object, { readonly at: number; readonly layers: number }>()
/** A router inside may get one later, which is not seen from here. */
const SEARCH_EVERY_MS = 1000

/** With thousands of routes looking costs more than all the rest of a denial. */
function search(app: Application): boolean {
  const layers = layersOf(app)
  const known = SEARCHED.get(app)
  const now = performance.now()
  if (known?.layers === layers.length && now - known.at < SEARCH_EVERY_MS) return false
  SEARCHED.set(app, { at: now, layers: layers.length })
  return layers.some((layer) => handlesErrors(layer, 0))
}

function handlesErrors({ handle, route }: Layer, depth: number): boolean {
  if (depth > DEEPEST) return false
  if (handle?.length === ERROR_HANDLER_ARGUMENTS) return true
  const inside = route?.stack ?? handle?.stack ?? []
  return inside.some((layer) => handlesErrors(layer, depth + 1))
}
