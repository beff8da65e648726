import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AlertNotification, Alerts, AlertsOptions } from 'ratethrottle/insight'
import { alerts } from 'ratethrottle/insight'
import { onTestFinished } from 'vitest'
import { FakeFigures } from './fake-figures.ts'

/** Alerts over figures and time of the test's, and what was told. */
export interface Watching {
  readonly figures: FakeFigures
  readonly watch: Alerts
  readonly told: AlertNotification[]
  /** Lets so many seconds pass, and does something in each. */
  seconds(count: number, what?: (second: number) => void): Promise<void>
}

/** Watches; what is told goes to a list, if the options name no channel. */
export function watching(options: Pick<AlertsOptions, 'rules'> & Partial<AlertsOptions>): Watching {
  const figures = new FakeFigures()
  const told: AlertNotification[] = []
  const watch = alerts({
    notify: (notification) => {
      told.push(notification)
    },
    clock: figures.clock,
    insight: figures,
    host: 'host-1',
    ...options,
  })
  onTestFinished(() => watch.close())
  const seconds = async (count: number, what: (second: number) => void = () => {}) => {
    for (let i = 0; i < count; i++) {
      what(i)
      figures.clock.advance(1_000)
      await watch.step()
    }
  }
  return { figures, watch, told, seconds }
}

/** What a server got. */
export interface Got {
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A server for one test that keeps what it gets. */
export async function receiver(
  answer: (response: ServerResponse, request: IncomingMessage, count: number) => void = (
    response,
  ) => response.end(),
): Promise<{ readonly url: string; readonly got: Got[] }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (data) => {
      body += data
    })
    request.on('end', () => {
      got.push({ headers: request.headers, body })
      answer(response, request, got.length)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, got }
}

/** A notification as a rule makes one. */
export const NOTIFICATION: AlertNotification = Object.freeze({
  version: 1,
  id: '0123456789abcdef01234567',
  dedupKey: 'ratethrottle/0123456789abcdef',
  status: 'fired',
  rule: 'denied.share > 0.2',
  when: 'denied.share > 0.2',
  severity: 'warning',
  value: 0.5,
  threshold: 0.2,
  windowMs: 60_000,
  limit: null,
  host: 'host-1',
  since: 1_000_000_000_000,
  at: 1_000_000_001_000,
})
