import { Agent, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { type Built, build, type Framework, type Site } from './sites.ts'

export type { Asked, Framework, Options, Site } from './sites.ts'

/** The frameworks of the seed's page in Node's words. */
export const FRAMEWORKS: readonly Framework[] = ['Fastify 5', 'Express 5', 'Express 4']
/** Those, and no framework at all. */
export const SERVERS: readonly Framework[] = [...FRAMEWORKS, 'node:http']

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** How to ask. */
export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The address to ask from: all of 127.0.0.0/8 is this machine. */
  readonly from?: string
}

/** A server that listens. */
export interface Served {
  readonly server: Server
  /** 0 for one behind a Unix-domain socket. */
  readonly port: number
  ask(path?: string, how?: Ask): Promise<Answer>
  /** Asks as often, one after another, and says the statuses. */
  statuses(count: number, path?: string, how?: Ask): Promise<number[]>
  /** How often the handler of a path has run. */
  runs(path?: string): number
  close(): Promise<void>
}

const open: Served[] = []
afterEach(() => Promise.all(open.splice(0).map((served) => served.close())))

/** Serves a site on a port of its own, or on a Unix-domain socket, until the test ends. */
export async function serve(framework: Framework, site: Site, socket?: string): Promise<Served> {
  const runs = new Map<string, number>()
  const built = await build(framework, site, (path) => {
    runs.set(path, (runs.get(path) ?? 0) + 1)
  })
  return serveBuilt(built, runs, socket)
}

/** Serves what was built elsewhere. */
export async function serveBuilt(
  { server, listen, close }: Built,
  runs: ReadonlyMap<string, number> = new Map(),
  socket?: string,
): Promise<Served> {
  await listen(socket === undefined ? { host: '127.0.0.1', port: 0 } : { path: socket })
  const { port } = socket === undefined ? (server.address() as AddressInfo) : { port: 0 }
  const agent = new Agent({ keepAlive: true })
  const target = socket === undefined ? { host: '127.0.0.1', port } : { socketPath: socket }
  const ask: Served['ask'] = (path = '/', how = {}) => send(agent, { ...target, path }, how)
  const served: Served = {
    server,
    port,
    ask,
    statuses: async (count, ...what) => {
      const seen: number[] = []
      for (let i = 0; i < count; i++) seen.push((await ask(...what)).status)
      return seen
    },
    runs: (path = '/') => runs.get(path) ?? 0,
    close: () => {
      agent.destroy()
      return close()
    },
  }
  open.push(served)
  return served
}

function send(agent: Agent, target: object, { method, headers, from }: Ask): Promise<Answer> {
  const how = { method: method ?? 'GET', headers: headers ?? {}, localAddress: from }
  return new Promise((resolve, reject) => {
    const call = request({ agent, ...target, ...how }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text) => {
        body += text
      })
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      })
    })
    call.on('error', reject)
    call.end()
  })
}

/** So many of one status, then so many of another: `times(2, 200, 1, 429)`. */
export function times(...counts: number[]): number[] {
  const seen: number[] = []
  for (let i = 0; i < counts.length; i += 2) {
    seen.push(...Array<number>(counts[i] ?? 0).fill(counts[i + 1] ?? 0))
  }
  return seen
}

/** `X-RateLimit-Limit` and `-Remaining`. */
export function figures({ headers }: Answer): unknown[] {
  return [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']]
}

/** Keeps the warnings of this code off the screen, in tests that cause them; there must be no others. */
export function expectWarnings(code: string): void {
  beforeEach(() => {
    const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    return () => {
      const codes = emit.mock.calls.map(([, options]) => (options as { code?: string }).code)
      emit.mockRestore()
      expect(codes.filter((seen) => seen !== code)).toEqual([])
    }
  })
}
