import { expect, test } from 'vitest'
import { Gate } from '../../dist/adapters/websocket/gate.js'

const MIB = 1_048_576

/** A gate whose limits say what `verdicts` has, one after the other, then admit all. */
function gateWith(verdicts: number[] = []) {
  const log: string[] = []
  const leftovers = { bytes: 0 }
  const limits = {
    charge: () => {
      const retryAfterMs = verdicts.shift()
      return retryAfterMs && { reason: 'messages', key: 'ada', retryAfterMs }
    },
    tell: ({ reason }: { reason: string }) => void log.push(reason),
  }
  const note =
    (what: string) =>
    (...args: unknown[]) =>
      void log.push([what, ...args].join(' '))
  const wire = {
    deliver: ({ data }: { data: unknown }) => void log.push(`deliver ${data}`),
    pause: () => {},
    resume: () => {},
    close: note('close'),
    cut: note('cut'),
    dropped: () => {},
  }
  const failed = (): void => void log.push('failed')
  const waiting = new Set()
  const rules = { limits, overflow: 'pause', isDryRun: false, leftovers, failed, waiting }
  const gate = new Gate(rules as never, wire as never)
  gate.open({ request: {}, key: 'ada' } as never)
  const receive = (data: string, bytes: number): void =>
    gate.receive({ data, bytes, isBinary: false, events: [[data]] })
  return { gate, log, leftovers, receive }
}

test('a client that goes on sending while its connection is closed is cut off', () => {
  const { gate, log, receive } = gateWith()
  gate.shut(1008, 'no')
  receive('a', MIB - 10)
  expect(log).toEqual(['close 1008 no'])
  receive('b', 100)
  expect(log).toEqual(['close 1008 no', 'cut'])
})

test('what waits for connections that have closed is bounded together, and forgotten when it is delivered', async () => {
  const { gate, log, leftovers, receive } = gateWith([20])
  receive('a', 10 * MIB)
  gate.end(true, () => log.push('closed'))
  expect(leftovers.bytes).toBeGreaterThan(10 * MIB)
  // Another connection of the same limits, for which there is no room.
  const other = gateWith([20])
  other.receive('b', 10 * MIB)
  other.leftovers.bytes = leftovers.bytes
  other.gate.end(true, () => other.log.push('closed'))
  expect(other.log).toEqual(['messages', 'lost', 'closed'])
  expect(other.leftovers.bytes).toBe(leftovers.bytes)
  await expect.poll(() => log).toEqual(['messages', 'deliver a', 'closed'])
  expect(leftovers.bytes).toBe(0)
})
