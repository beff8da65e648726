import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { type Random, randomFor } from '../fixtures/random.ts'
import { ask, repeat } from '../http/client.ts'
import { FRAMEWORKS, type Served, serve } from '../http/serve.ts'
import { problemsOf } from './emitted.ts'
import { randomHostile } from './hostile/requests.ts'

const { RATETHROTTLE_HOSTILE: given } = process.env
/** A share of the requests that the in-process test makes: sockets are slower. */
const CONNECTIONS = Math.ceil(Number(given ?? 50_000) / 500)
const N = 5
const OPTIONS = { limits: `${N}/day`, headers: 'both', trust: '10.0.0.0/8' } as const
const CLIENTS = 16

/** A request as bytes: well-formed, or with breaks where none may be, or no request at all. */
function randomBytes(random: Random): string {
  if (random.chance(0.05)) {
    return String.fromCharCode(...repeat(random.integer(1, 300), () => random.integer(0, 255)))
  }
  const { method, path, headers } = randomHostile(random, 'x-forwarded-for')
  const clean = random.chance(0.9) ? cleaned : (text: string) => text
  // A body that is announced and doesn't come would have the test wait for nothing.
  const {
    'content-length': _l,
    'transfer-encoding': _t,
    expect: _e,
    upgrade: _u,
    ...others
  } = headers
  const lines = Object.entries(others).map(([name, value]) => `${name}: ${clean(value)}\r\n`)
  return `${clean(method)} ${clean(path)} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** What may stand in a header: bytes, without control characters. */
function cleaned(text: string): string {
  return [...text].filter((c) => (c >= ' ' && c < '\x7f') || (c > '\x9f' && c < 'Ā')).join('')
}

/** Sends bytes and hangs up when the server does, or is silent: what came back. */
function converse(port: number, from: string, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: '127.0.0.1', port, localAddress: from } as never)
    socket.setEncoding('latin1')
    // The server is in this process: after a pause of the process it has not had its turn yet.
    let turns = 50
    const leave = (): unknown => (turns-- > 0 ? setImmediate(leave) : socket.destroy())
    socket.setTimeout(100, leave)
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(bytes, 'latin1', () => socket.end())
  })
}

interface Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

/** The answers on one connection. */
function responsesIn(answer: string): Response[] {
  const texts = answer.split(/(?=HTTP\/1\.1 \d{3} )/).filter((text) => text !== '')
  return texts.map((text) => {
    const [head = ''] = text.split('\r\n\r\n')
    const [line = '', ...fields] = head.split('\r\n')
    const pairs = fields.map((field) => {
      const colon = field.indexOf(': ')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 2)] as const
    })
    return { status: Number(line.slice(9, 12)), headers: Object.fromEntries(pairs) }
  })
}

const isLimited = ({ headers }: Response): boolean => 'x-ratelimit-limit' in headers

/** What no limiter has seen, a parser has refused: of the request, of its size or of its path. */
function wrongWith(response: Response): string[] {
  const { status, headers } = response
  const isRight = isLimited(response)
    ? status >= 200 && status < 500
    : [400, 414, 431].includes(status)
  return isRight ? problemsOf(headers) : [`status ${status}`, ...problemsOf(headers)]
}

async function attack(random: Random, { port }: Served): Promise<void> {
  const admitted = new Map<string, number>()
  let denied = 0
  for (let done = 0; done < CONNECTIONS; done += 20) {
    await Promise.all(
      repeat(20, async () => {
        const from = `127.0.0.${random.integer(2, CLIENTS + 1)}`
        const bytes = repeat(random.integer(1, 10), () => randomBytes(random)).join('')
        const responses = responsesIn(await converse(port, from, bytes))
        const problems = responses.flatMap(wrongWith)
        if (problems.length > 0) expect({ problems, bytes }).toEqual({})
        const served = responses.filter((one) => isLimited(one) && one.status !== 429)
        admitted.set(from, (admitted.get(from) ?? 0) + served.length)
        denied += responses.filter(({ status }) => status === 429).length
      }),
    )
  }
  for (const [from, count] of admitted) expect(count, from).toBeLessThanOrEqual(N)
  expect([admitted.size > CLIENTS / 2, denied > 0]).toEqual([true, true])
  // Other clients are still served.
  expect((await ask(port)).status).toBe(200)
}

it.each([...FRAMEWORKS, 'node:http'] as const)(
  '%s: hostile bytes over real sockets cause no crash, no unlimited path and no 5xx',
  async (name) => {
    const random = randomFor(`hostile sockets ${name}`)
    await attack(random, await serve(name, OPTIONS))
  },
  600_000,
)
