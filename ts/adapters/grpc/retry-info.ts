/*
 * `google.rpc.Status` with a `google.rpc.RetryInfo`, in the encoding of protocol buffers: what clients of gRPC read from
 * the metadata `grpc-status-details-bin`. By hand, as it is a few fields that never change.
 */

/** The two kinds of field that are used here. */
const VARINT = 0
const BYTES = 2
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo'

/**
 * @param code of the status
 * @param ms to wait, in milliseconds: whole ones, or part of one
 */
export function encodeStatus(code: number, message: string, ms: number): Buffer {
  const whole = Math.ceil(ms)
  const duration = Buffer.concat([
    number(1, Math.floor(whole / 1000)),
    number(2, (whole % 1000) * 1_000_000),
  ])
  const retryInfo = bytes(1, duration)
  const any = Buffer.concat([bytes(1, Buffer.from(RETRY_INFO)), bytes(2, retryInfo)])
  return Buffer.concat([number(1, code), bytes(2, Buffer.from(message)), bytes(3, any)])
}

/** A field with a number. Zero is the default, and left out. */
function number(field: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.from([field * 8 + VARINT, ...varint(value)])
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([field * 8 + BYTES, ...varint(value.length)]), value])
}

/** Seven bits to a byte, the lowest first. Not with shifts: seconds may be more than 31 bits. */
function varint(value: number): number[] {
  const low = value % 128
  return value < 128 ? [low] : [low + 128, ...varint(Math.floor(value / 128))]
}
