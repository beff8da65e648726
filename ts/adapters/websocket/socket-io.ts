import type { IncomingMessage, ServerResponse } from 'node:http'
import { invalid } from '../../validate.ts'
import type { Connections } from './connections.ts'
import type { EngineGates } from './engine.ts'
import { engineGates } from './engine.ts'
import { type Answer, answerPlain, answerRaw, type Closing } from './handshake-response.ts'
import { connectErrorData } from './refusals.ts'
import type { EngineServerLike, EngineSocketLike, SocketIoLike } from './types.ts'
import { keep } from './upgrade.ts'

/** Sessions that began by long polling, and have not joined a namespace: they end of themselves after this long. */
const UNCLAIMED_MS = 45_000

/** Per `socketLimits`: its connections of engine.io. */
const GATES = new WeakMap<Connections, EngineGates>()

function gatesOf(connections: Connections): EngineGates {
  const known = GATES.get(connections) ?? engineGates(connections)
  GATES.set(connections, known)
  return known
}

/** Option `allowRequest`: asked before a session begins, by long polling or by a WebSocket. */
export function allowRequest(
  connections: Connections,
): (request: IncomingMessage, decided: (error: string | null, isAllowed: boolean) => void) => void {
  return (request, decided) => {
    // engine.io leaves the response there for a request that it does not upgrade.
    const { res } = request as { readonly res?: ServerResponse }
    const answer: Answer =
      res === undefined || isUpgrade(request) ? answerRaw(request.socket) : answerPlain(res)
    // engine.io listens to the connection when it is decided, and not before.
    const passOn = isUpgrade(request) ? keep(request.socket) : undefined
    connections.decide(request, request.socket as Closing, answer, (admission) => {
      if (passOn === undefined) {
        gatesOf(connections).expect(request, admission, UNCLAIMED_MS)
        decided(null, true)
        return
      }
      request.socket.once('close', () => admission.leave())
      passOn(() => decided(null, true))
    })
  }
}

/** As node:http says it, and not the header: any client may send that with long polling. */
function isUpgrade(request: IncomingMessage): boolean {
  return (request as { readonly upgrade?: boolean | null }).upgrade === true
}

/** Limits the messages of connections from their first packet on, of those that `allowRequest` admits. */
export function attachEngine(connections: Connections, engine: EngineServerLike): void {
  const isServer = typeof (engine as Partial<EngineServerLike> | undefined)?.on === 'function'
  if (!isServer) {
    const accepted = 'the engine of a server that is attached, as in io.engine'
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'engine', accepted, engine)
  }
  const gates = gatesOf(connections)
  engine.on('connection', (socket: EngineSocketLike) => gates.begin(socket))
}

/** Middleware of socket.io. */
export function socketIo(
  connections: Connections,
): (socket: SocketIoLike, next: (error?: Error) => void) => void {
  const gates = gatesOf(connections)
  return ({ conn }, next) => {
    const engine = conn as EngineSocketLike
    const decided = gates.enter(engine)
    const go = (refusal: Awaited<typeof decided>): void => {
      if (refusal === undefined) {
        next()
        return
      }
      const data = connectErrorData(refusal)
      next(Object.assign(new Error(data.code), { data }))
      // socket.io would keep the connection for 45 seconds. It has the answer by then.
      setImmediate(() => engine.close())
    }
    if (decided instanceof Promise) void decided.then(go)
    else go(decided)
  }
}
