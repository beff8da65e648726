import type { HttpAdapter } from '../../http/adapter.ts'
import { setEach } from '../../http/legacy-headers.ts'
import { cut, isFinished } from '../../http/node.ts'
import { onDone, onEnd } from '../../http/response-end.ts'
import { Answer } from './answer.ts'
import { connectedTo, type NodeBindings, nodeOf, readAddress } from './connection.ts'

/** Option `address`: the address at the other end of the connection, where the runtime does not say. */
export type AddressFunction<Info> = (request: Request, info: Info) => string | null | undefined

/** Requests and responses of the Fetch standard. */
export function webAdapter(
  address: AddressFunction<unknown> | undefined,
): HttpAdapter<Request, Answer> {
  if (address === undefined) return WEB
  return {
    ...WEB,
    peer: (request) => readAddress(address(request, Answer.of(request)?.info)),
  }
}

function nodeBehind({ request, info }: Answer): NodeBindings {
  return nodeOf(request, info)
}

/** The path and query of a URL, without making an object of it. */
export function pathOf(url: string): string {
  const host = url.indexOf('//')
  const path = url.indexOf('/', host + 2)
  return path === -1 ? '/' : url.slice(path)
}

export const WEB: HttpAdapter<Request, Answer> = {
  peer: (request) => connectedTo(request, Answer.of(request)?.info),
  incoming: (request) => nodeOf(request, Answer.of(request)?.info).incoming,
  outgoing: (answer) => nodeBehind(answer).outgoing,
  headers: (request) => Answer.of(request)?.received ?? Object.fromEntries(request.headers),
  // A method that is none of the standard's is left as it was written.
  method: ({ method }) => method.toUpperCase(),
  target: ({ url }) => pathOf(url),
  route: () => undefined,
  forwarded: () => undefined,
  isProxy: () => false,
  setHeader: ({ headers }, name, value) => {
    headers[name] = value
  },
  setFigures: (answer, ...figures) => setEach(WEB, answer, figures),
  removeHeader: ({ headers }, name) => {
    delete headers[name]
  },
  setStatus: () => {},
  isFinished: (answer) => {
    const { outgoing } = nodeBehind(answer)
    return outgoing === undefined ? answer.isOver : isFinished(outgoing)
  },
  onEnd: (answer, ended) => {
    const { outgoing } = nodeBehind(answer)
    return outgoing === undefined ? answer.endings.onEnd(ended) : onEnd(outgoing, ended)
  },
  onDone: (answer, done) => {
    const { outgoing } = nodeBehind(answer)
    return outgoing === undefined ? answer.endings.onDone(done) : onDone(outgoing, done)
  },
  cut: (answer) => {
    const { outgoing } = nodeBehind(answer)
    if (outgoing !== undefined) cut(outgoing)
  },
  send: (answer, status, type, body) => {
    answer.refused = new Response(body, { status, headers: { 'content-type': type } })
  },
}
