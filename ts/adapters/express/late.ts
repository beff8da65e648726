import type { Request, RequestHandler } from 'express'
import type { Warnings } from '../http/warning.ts'
import { isApp, layersOf } from './stack.ts'

const MOST_NAMED = 3

/** A middleware for the whole app that comes after routes does not cover them: Express goes in order. */
export function warnOfEarlierRoutes(
  { app }: Request,
  middleware: RequestHandler,
  warnings: Warnings,
): void {
  if (!isApp(app)) return
  const layers = layersOf(app)
  const own = layers.findIndex(({ handle }) => handle === middleware)
  const earlier = layers.slice(0, Math.max(own, 0)).flatMap(({ route }) => route ?? [])
  if (earlier.length === 0) return
  const paths = earlier.slice(0, MOST_NAMED).map(({ path }) => String(path))
  warnings.tell(
    'RATETHROTTLE_LATE',
    `rateThrottle comes after ${earlier.length} routes of the app (${paths.join(', ')}...), which it does not limit: app.use it before them`,
  )
}
