import type { IncomingMessage } from 'node:http'
import type { MaybePromise, StoreStatus } from './../limiter.ts'
import { Connections } from './websocket/connections.ts'
import type { SocketLimitsOptions } from './websocket/options.ts'
import { allowRequest, attachEngine, socketIo } from './websocket/socket-io.ts'
import type {
  EngineServerLike,
  SocketIoLike,
  WebSocketLike,
  WebSocketServerLike,
} from './websocket/types.ts'
import { type UpgradeListener, upgradeListener } from './websocket/upgrade.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from '../http/key-functions.ts'
export type { Overflow, SocketLimitsOptions } from './websocket/options.ts'
export type {
  ConnectErrorData,
  MessageKey,
  SocketLimitEvent,
  SocketMessage,
} from './websocket/types.ts'

/** Limits of connections and messages. */
export interface SocketLimits {
  /**
   * A listener for a server's event `upgrade`: answers 429 before the handshake, and hands an admitted request to a
   * server of ws, made with `noServer: true`. Or to a function of yours, which upgrades it and calls `attach`.
   */
  upgrade(target: WebSocketServerLike | UpgradeListener): UpgradeListener
  /**
   * Limits the messages of a socket, and decides about its connection if `upgrade` has not: for @fastify/websocket.
   * A refused connection is closed with code 1008, and none of its messages is delivered.
   *
   * @param request the request that was upgraded, or that of Fastify
   * @returns whether the connection is admitted: at once, or as a promise where the store or an option takes time
   */
  attach(
    socket: WebSocketLike,
    request: IncomingMessage | { readonly raw: IncomingMessage },
  ): MaybePromise<boolean>
  /** Middleware for `io.use`: a refused client gets `connect_error` with `data: { code, retryAfter }`. */
  socketIo(): (socket: SocketIoLike, next: (error?: Error) => void) => void
  /** Option `allowRequest` of socket.io and engine.io: answers 429 before the handshake. */
  readonly allowRequest: (
    request: IncomingMessage,
    decided: (error: string | null | undefined, isAllowed: boolean) => void,
  ) => void
  /**
   * Limits the packets of a client also before it has joined a namespace: give it `io.engine`, beside `allowRequest`.
   */
  attachEngine(engine: EngineServerLike): void
  /** Waits for the first connection to the store, and says whether it can be asked. Never rejects. */
  ready(): Promise<StoreStatus>
  /** Frees the counters. Later connections are refused with 500, later messages close theirs (1011). */
  close(): void
}

/**
 * Limits the connections and the messages of clients, for ws, @fastify/websocket and socket.io.
 *
 * ```ts
 * const limits = socketLimits({ connections: '60/minute', concurrent: 5, messages: '20/second' })
 * server.on('upgrade', limits.upgrade(new WebSocketServer({ noServer: true })))
 * ```
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function socketLimits(options: SocketLimitsOptions): SocketLimits {
  const connections = new Connections(options)
  return {
    upgrade: (target) => upgradeListener(connections, target),
    attach: (socket, request) =>
      connections.attach(
        socket,
        (request as { raw?: IncomingMessage } | undefined)?.raw ?? (request as IncomingMessage),
      ),
    socketIo: () => socketIo(connections),
    allowRequest: allowRequest(connections),
    attachEngine: (engine) => attachEngine(connections, engine),
    ready: () => connections.ready(),
    close: () => connections.close(),
  }
}
