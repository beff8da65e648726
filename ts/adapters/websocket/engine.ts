import type { IncomingMessage } from 'node:http'
import { andThen, type MaybePromise } from '../../limiter.ts'
import type { Connections } from './connections.ts'
import { Gate } from './gate.ts'
import { Admission, type ConnectRefusal } from './handshake.ts'
import { answerNothing, type Closing, HandshakeResponse } from './handshake-response.ts'
import { Assembly, ackOf } from './packets.ts'
import type { EngineSocketLike } from './types.ts'
import type { Passing, Wire } from './wire.ts'

/** What is held before a connection is paused, so that its heartbeats pass. */
const SLACK = 65_536

/** The connections of engine.io that one `socketLimits` knows. */
export interface EngineGates {
  /** A session begins that no WebSocket carries yet. Its permit is given back unless it is claimed in time. */
  expect(request: IncomingMessage, admission: Admission, ms: number): void
  /** A connection begins: its messages are limited from now on, if `allowRequest` has decided about it. */
  begin(engine: EngineSocketLike): void
  /** A socket of socket.io joins a namespace: its connection is decided about once. */
  enter(engine: EngineSocketLike): MaybePromise<ConnectRefusal | undefined>
}

/** The ws socket that carries a connection, unless it is long polling. */
interface Carried {
  readonly transport?: { readonly socket?: { pause?(): void; resume?(): void } }
  send?(data: string): void
}

export function engineGates(connections: Connections): EngineGates {
  const unclaimed = new Map<Admission, NodeJS.Timeout>()
  const entered = new WeakMap<object, MaybePromise<ConnectRefusal | undefined>>()
  const claim = (admission: Admission): void => {
    clearTimeout(unclaimed.get(admission))
    unclaimed.delete(admission)
  }
  const begin = (engine: EngineSocketLike, known: Admission, hasJoined: boolean): undefined => {
    claim(known)
    onClose(engine, () => known.leave())
    open(connections, engine, known.key, hasJoined)
  }
  return {
    expect: (request, admission, ms) => {
      const giveUp = (): void => {
        claim(admission)
        admission.leave()
        // A session that lives on is decided about again when it joins a namespace.
        connections.forget(request)
      }
      unclaimed.set(admission, setTimeout(giveUp, ms).unref())
    },
    begin: (engine) => {
      const known = connections.admissionOf(engine.request)
      if (known === undefined || entered.has(engine)) return
      entered.set(engine, begin(engine, known, false))
    },
    enter: (engine) => {
      if (entered.has(engine)) return entered.get(engine)
      const known = connections.admissionOf(engine.request)
      const outcome =
        known === undefined ? enterLate(connections, engine) : begin(engine, known, true)
      entered.set(engine, outcome)
      return outcome
    },
  }
}

function onClose(engine: EngineSocketLike, closed: () => void): void {
  if (engine.readyState === 'closed') closed()
  else (engine as unknown as Closing).once('close', closed)
}

/** No `allowRequest` has decided about it. */
function enterLate(
  connections: Connections,
  engine: EngineSocketLike,
): MaybePromise<ConnectRefusal | undefined> {
  const { handshake } = connections
  const response = new HandshakeResponse(engine as unknown as Closing, answerNothing)
  return andThen(handshake.decide(engine.request, response), (outcome) => {
    if (!(outcome instanceof Admission)) return outcome
    response.admit()
    onClose(engine, () => outcome.leave())
    open(connections, engine, outcome.key, true)
    return undefined
  })
}

/**
 * Puts a gate before socket.io: what engine.io reads comes to it by the event `data`.
 *
 * @param hasJoined whether the packet has passed by which a client joins its first namespace, and which is free
 */
function open(
  connections: Connections,
  engine: EngineSocketLike,
  key: string | undefined,
  hasJoined: boolean,
): void {
  const { messages, rules } = connections
  if (key === undefined || !messages.isOn) return
  const { emit } = engine
  const carried = engine as Carried
  const wire: Wire = {
    deliver: ({ events }) => {
      for (const event of events) Reflect.apply(emit, engine, event)
    },
    pause: () => carried.transport?.socket?.pause?.(),
    resume: () => carried.transport?.socket?.resume?.(),
    // engine.io has pings of its own.
    beat: () => {},
    // socket.io hands an event to its listeners in the next tick: those that were admitted come first.
    close: () => void setImmediate(() => engine.close()),
    cut: () => engine.close(),
    dropped: ({ data }, excess) => {
      const ack = ackOf(data, excess)
      if (ack !== undefined) carried.send?.(ack)
    },
  }
  const gate = new Gate(rules, wire, SLACK)
  let isFree = !hasJoined
  const assembly = new Assembly((message: Passing) => {
    if (isFree) wire.deliver(message)
    else gate.receive(message)
    isFree = false
  })
  engine.emit = (...event: [event: string | symbol, ...args: unknown[]]): boolean => {
    const [name, data] = event
    if (name === 'data') return assembly.add(data)
    // Delivered together with `data`.
    if (name === 'message') return true
    // What waits is lost: socket.io has closed its sockets by then.
    if (name === 'close') gate.end(false, () => {})
    return Reflect.apply(emit, engine, event)
  }
  gate.open(messages.senderOf(engine.request, key))
}
