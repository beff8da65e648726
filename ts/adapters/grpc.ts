import type { ServerInterceptor } from '@grpc/grpc-js'
import { CallGate } from '../calls/gate.ts'
import { readGateOptions } from '../calls/gate-options.ts'
import { refuseIdleCallOptions } from '../calls/options.ts'
import type { StoreStatus } from '../limiter.ts'
import { requirePeer } from '../peers.ts'
import { invalid, withCode } from '../validate.ts'
import { FACE, type ServerCall } from './grpc/call.ts'
import { LimitedCall, type Surroundings } from './grpc/limited-call.ts'
import {
  checkOverflow,
  type GrpcOptions,
  OWN,
  readLimitsOf,
  readMethods,
  readSkip,
} from './grpc/options.ts'
import { Plans } from './grpc/plans.ts'

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { ConcurrencyExceeded, RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader as byMetadata, byIp, byUser, firstOf } from '../http/key-functions.ts'
export type { GrpcCall } from './grpc/call.ts'
export type { GrpcLimits, GrpcOptions, MessageOverflow } from './grpc/options.ts'

/** What {@link interceptor} makes. */
export interface GrpcInterceptor extends ServerInterceptor {
  /** Waits for the first connection to the store, and says whether it can be asked. Never rejects. */
  ready(): Promise<StoreStatus>
  /** Frees the counters. Later calls are refused with INTERNAL. */
  close(): void
}

type Library = Surroundings['grpc'] & Pick<typeof import('@grpc/grpc-js'), 'ServerInterceptingCall'>

/**
 * Limits the calls of a gRPC server, of all four kinds.
 *
 * ```ts
 * const server = new grpc.Server({ interceptors: [interceptor({ limits: '100/minute', concurrent: 10 })] })
 * ```
 *
 * A refused call never reaches its handler. It ends with RESOURCE_EXHAUSTED, `retry-after` and `google.rpc.RetryInfo`.
 *
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted; Error with code
 * MISSING_PEER where the package @grpc/grpc-js is not installed
 */
export function interceptor(options: GrpcOptions): GrpcInterceptor {
  const read = readGateOptions(options, OWN)
  const own = read.own as GrpcOptions
  const common = readLimitsOf(own, '')
  const methods = readMethods(own.methods, 'methods')
  checkOverflow(common, methods)
  const limited = [common, ...methods.values()].some((one) => one.limits ?? one.messages)
  if (!limited) refuseIdleCallOptions(options, 'limits or messages')
  const skip = readSkip(own.skip, 'skip')
  const { limits, concurrent, messages } = common
  const isEmpty = [limits, concurrent, messages, read.shield].every((one) => one === undefined)
  if (isEmpty && methods.size === 0) {
    const accepted =
      'a limit or an array of them, or left out beside concurrent, messages or methods'
    throw invalid(TypeError, 'INVALID_OPTION', 'limits', accepted, limits)
  }
  const grpc = load()
  const gate = new CallGate<ServerCall>(read, FACE, 'grpc')
  const plans = openPlans(gate, common, methods)
  const around: Surroundings = { grpc, gate, skip, isDryRun: read.gate.dryRun }
  const intercept: ServerInterceptor = (method, call) => {
    const limited = new LimitedCall(around, plans.of(method.path), method, call)
    return new grpc.ServerInterceptingCall(call, limited.responder())
  }
  return Object.assign(intercept, { ready: () => gate.ready(), close: () => gate.close() })
}

/** What was opened before an option is refused is closed. */
function openPlans(gate: CallGate<ServerCall>, ...rest: PlansInput): Plans {
  try {
    return new Plans(gate, ...rest)
  } catch (error) {
    gate.close()
    throw error
  }
}

type PlansInput =
  ConstructorParameters<typeof Plans> extends [unknown, ...infer Rest] ? Rest : never

function load(): Library {
  const asker = 'ratethrottle/grpc'
  const grpc = requirePeer<Partial<Library>>('@grpc/grpc-js', asker, () => require('@grpc/grpc-js'))
  if (grpc.ServerInterceptingCall !== undefined) return grpc as Library
  const message = `${asker} needs the package @grpc/grpc-js in version 1.10 or later, got an older one: npm install @grpc/grpc-js`
  throw withCode(new Error(message), 'MISSING_PEER')
}
