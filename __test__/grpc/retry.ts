import { createRequire } from 'node:module'
import type { Metadata } from '@grpc/grpc-js'

// Comes with @grpc/proto-loader.
const load = createRequire(createRequire(`${process.cwd()}/`).resolve('@grpc/proto-loader'))
const protobuf = load('protobufjs') as typeof import('protobufjs')

const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
`)

interface Decoded {
  readonly code: number
  readonly message: string
  readonly details: readonly { readonly typeUrl: string; readonly value: Uint8Array }[]
}

/** What the bytes of `grpc-status-details-bin` say, decoded by another implementation. */
export function decodeDetails(bytes: Uint8Array) {
  const status = root.lookupType('google.rpc.Status').decode(bytes) as unknown as Decoded
  const [any] = status.details
  if (any === undefined) throw new Error('no details')
  const info = root.lookupType('google.rpc.RetryInfo').decode(any.value)
  const { retryDelay } = info as unknown as {
    readonly retryDelay: { readonly seconds: unknown; readonly nanos: number }
  }
  const { code, message, details } = status
  return {
    code,
    message,
    types: details.map(({ typeUrl }) => typeUrl),
    ms: Number(retryDelay.seconds) * 1000 + retryDelay.nanos / 1e6,
  }
}

/** How long a client is told to wait. */
export function retryMs(metadata: Metadata): number {
  const [bytes] = metadata.get('grpc-status-details-bin')
  if (!Buffer.isBuffer(bytes)) throw new Error('no details')
  return decodeDetails(bytes).ms
}
