import type { Application, ErrorRequestHandler, Request, RequestHandler, Response } from 'express'
import { isFinished, send } from '../../http/node.ts'
import { bodyOf, errorOf, type Refusal } from '../../http/response.ts'
import { isApp } from './internals.ts'
import { type Beyond, Place } from './place.ts'

const PLACES = new WeakMap<object, Place>()
const MOST_APPS = 16

/** Refusals by the errors that are made of them. */
const REFUSALS = new WeakMap<object, Refusal>()

/** Begins to notice how requests come to this app. */
export function noticeApp(app: unknown): void {
  if (isApp(app)) placeOf(app)
}

/**
 * Hands a refusal to the error handlers that the request reaches from here, or answers it as JSON where it
 * reaches none: what Express itself makes of an error is a page of HTML and a line in the log.
 *
 * Express is asked which those are: the error goes its way, and behind everything waits a handler of ours.
 */
export function hand(
  refusal: Refusal,
  middleware: RequestHandler,
  request: Request,
  response: Response,
  next: (error?: unknown) => void,
): void {
  // Error handlers would answer once more, and Express then cuts the connection.
  if (isFinished(response)) return
  const { places, end } = wayOf(request)
  const [own, ...outer] = places
  const isSeen =
    own === undefined ||
    (end === 'default' && !own.mayAnswer(middleware) && !outer.some((app) => app.hasErrorHandler))
  if (isSeen) {
    sendJson(refusal, response)
    return
  }
  if (end !== 'unknown') places.at(-1)?.answerLast(answer)
  const error = errorOf(refusal)
  REFUSALS.set(error, refusal)
  next(error)
}

const answer: ErrorRequestHandler = (error, _request, response, next) => {
  const refusal = REFUSALS.get(error as object)
  if (refusal === undefined || isFinished(response)) next(error)
  else sendJson(refusal, response)
}

function sendJson(refusal: Refusal, response: Response): void {
  send(response, refusal.statusCode, 'application/json; charset=utf-8', bodyOf(refusal))
}

/** The apps that a request leaves one after the other if none answers it, and what comes then. */
function wayOf(request: Request): { readonly places: Place[]; readonly end: Beyond } {
  const places: Place[] = []
  // Not there on a request that no Express app has seen.
  let next: Beyond = (request.app as Application | undefined) ?? 'unknown'
  while (isApp(next) && places.length < MOST_APPS) {
    const place = placeOf(next)
    places.push(place)
    next = place.beyond(request)
  }
  return { places, end: next }
}

function placeOf(app: Application): Place {
  const known = PLACES.get(app)
  if (known !== undefined) return known
  const place = new Place(app)
  PLACES.set(app, place)
  return place
}
