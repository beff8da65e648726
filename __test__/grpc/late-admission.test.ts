import * as grpc from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { LimitedCall } from '../../dist/adapters/grpc/limited-call.js'
import { Admission } from '../../dist/calls/gate.js'
import { serviceOf } from './serve.ts'

test('a call that is over by the time it is admitted holds nothing, and is not handed on', async () => {
  let left = 0
  const entry = { decision: undefined, refusal: undefined, leave: () => void left++ }
  let admit = (_: Admission): void => {}
  // The answer comes all the same: it was on its way when the client left.
  const gate = { admit: () => new Promise<Admission>((resolve) => (admit = resolve)) }
  const around = { grpc, gate, skip: undefined, isDryRun: false }
  const plan = { limiters: [], messages: undefined, overflow: 'end' }
  const call = new LimitedCall(
    around as never,
    plan as never,
    serviceOf('a.B').chat as never,
    {} as never,
  )
  const listeners: grpc.ServerListener[] = []
  call.responder().start?.((listener) => void listeners.push(listener as grpc.ServerListener))
  let handedOn = 0
  listeners[0]?.onReceiveMetadata?.(new grpc.Metadata(), () => handedOn++)
  listeners[0]?.onCancel?.()
  admit(new Admission('ada', [entry as never]))
  await new Promise(setImmediate)
  expect({ left, handedOn }).toEqual({ left: 1, handedOn: 0 })
})
