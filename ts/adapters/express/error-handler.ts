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
  const has =
    layersOf(app).some((layer) => handlesErrors(layer, 0)) ||
    (parent !== undefined && hasErrorHandler(parent))
  if (has) HANDLING.add(app)
  return has
}

function handlesErrors({ handle, route }: Layer, depth: number): boolean {
  if (depth > DEEPEST) return false
  if (handle?.length === ERROR_HANDLER_ARGUMENTS) return true
  const inside = route?.stack ?? handle?.stack ?? []
  return inside.some((layer) => handlesErrors(layer, depth + 1))
}
