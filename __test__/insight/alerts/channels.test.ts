import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { alerts, slack, webhook } from 'ratethrottle/insight'
import { expect, it, onTestFinished } from 'vitest'
import { Outbox } from '../../../ts/insight/alerts/outbox.ts'
import { NOTIFICATION, receiver } from './alerts.ts'

const SECRET = 'a secret of thirty-two characters'

/** A server for one test that takes connections and does with each what the test says. */
async function rawServer(
  onSocket: (socket: Socket) => void,
): Promise<{ readonly url: string; readonly sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}/secret-path`, sockets }
}

it('a webhook posts the notification as JSON, and signs time and body', async () => {
  const { url, got } = await receiver()
  const headers = { authorization: 'Bearer of-mine' }
  await webhook(url, { secret: SECRET, headers }).send(NOTIFICATION)
  expect(got).toHaveLength(1)
  const [{ headers: sent, body } = { headers: {}, body: '' }] = got
  expect(JSON.parse(body)).toEqual(NOTIFICATION)
  const timestamp = String(sent['x-ratethrottle-timestamp'])
  const signature = createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex')
  expect(sent['x-ratethrottle-signature']).toBe(`sha256=${signature}`)
  expect(Math.abs(Date.now() / 1_000 - Number(timestamp))).toBeLessThan(60)
  expect(sent).toMatchObject({
    authorization: 'Bearer of-mine',
    'content-type': 'application/json',
  })
  expect(JSON.stringify(got)).not.toContain(SECRET)
})

it('tries three times, with the same id, unless the answer is final', async () => {
  const failing = await receiver((response) => response.writeHead(503).end())
  const channel = webhook(failing.url, { secret: SECRET })
  await expect(channel.send(NOTIFICATION)).rejects.toThrow('status 503')
  expect(failing.got.map(({ body }) => JSON.parse(body).id)).toEqual(Array(3).fill(NOTIFICATION.id))
  const better = await receiver((response, _, count) =>
    response.writeHead(count < 3 ? 429 : 204).end(),
  )
  await webhook(better.url, { secret: SECRET }).send(NOTIFICATION)
  expect(better.got).toHaveLength(3)
  for (const status of [400, 401, 404, 410]) {
    const { url, got } = await receiver((response) => response.writeHead(status).end())
    await expect(slack(url).send(NOTIFICATION)).rejects.toThrow(`status ${status}`)
    expect(got).toHaveLength(1)
  }
})

it('follows no redirect', async () => {
  const target = await receiver()
  for (const status of [301, 302, 307, 308]) {
    const { url, got } = await receiver((response) =>
      response.writeHead(status, { location: target.url }).end(),
    )
    await expect(webhook(url, { secret: SECRET }).send(NOTIFICATION)).rejects.toThrow(`${status}`)
    expect(got).toHaveLength(1)
  }
  expect(target.got).toEqual([])
})

const HOSTILE: readonly (readonly [reason: string, onSocket: (socket: Socket) => void])[] = [
  // It says nothing, closes at once, answers garbage.
  ['timeout', () => {}],
  ['ECONNRESET', (socket) => socket.destroy()],
  ['HPE_INVALID_CONSTANT', (socket) => socket.end('garbage\r\n\r\n')],
  // A header that never ends; answers before the answer; headers of 100 KB.
  ['timeout', drip],
  ['timeout', inform],
  ['HPE_HEADER_OVERFLOW', (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`)],
]

it('hostile receivers are given up after three tries', async () => {
  const ends = HOSTILE.map(async ([reason, onSocket]) => {
    const { url, sockets } = await rawServer(onSocket)
    const channel = webhook(url, { secret: SECRET, timeoutMs: reason === 'timeout' ? 150 : 10_000 })
    await expect(channel.send(NOTIFICATION)).rejects.toMatchObject({ reason })
    await expect.poll(() => sockets).toHaveLength(3)
  })
  await Promise.all(ends)
})

function drip(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n')
  const timer = setInterval(() => socket.write('x'), 5)
  socket.on('close', () => clearInterval(timer))
}

function inform(socket: Socket): void {
  const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 5)
  socket.on('close', () => clearInterval(timer))
}

it('reads nothing of an answer that does not end', async () => {
  let written = 0
  const { url, sockets } = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n')
    const part = Buffer.alloc(65_536, 'x')
    const timer = setInterval(() => {
      if (socket.writableLength < 1_000_000 && socket.write(part)) written += part.length
    }, 1)
    socket.on('close', () => clearInterval(timer))
  })
  await webhook(url, { secret: SECRET }).send(NOTIFICATION)
  const [socket] = sockets
  await new Promise((resolve) => (socket?.closed ? resolve(0) : socket?.once('close', resolve)))
  expect(written).toBeLessThan(20_000_000)
})

it('Slack gets text and blocks, and no value of ours is markup there', async () => {
  const { url, got } = await receiver()
  const rule = '<!channel> *x* <https://evil.example|bank> & \u202e\u0000\n'
  await slack(url).send({ ...NOTIFICATION, rule, limit: '<@U1>', host: '<b>' })
  await slack(url).send({ ...NOTIFICATION, rule: '&'.repeat(128) })
  const [one, long] = got.map(({ body }) => JSON.parse(body))
  expect(one.text).toBe(
    'Fired (warning): &lt;!channel&gt; *x* &lt;https://evil.example|bank&gt; &amp;     on &lt;b&gt;',
  )
  const texts = [one.blocks[0].text, ...one.blocks[1].fields]
  expect(texts.map(({ type }) => type)).toEqual(Array(7).fill('plain_text'))
  expect(texts.map(({ text }) => text)).toContain('Limiter: &lt;@U1&gt;')
  expect(JSON.stringify(one)).not.toMatch(/[<>]|\\u202e|\\u0000|\\n/)
  expect(long.blocks[0].text.text).toMatch(/^Fired \(warning\): (&amp;)+$/)
})

it.each([
  ['http://hooks.example.com/secret-path', {}, 'a URL with https'],
  ['http://hooks.example.com/secret-path', { allowHttp: 'example.com' }, 'a URL with https'],
  ['http://127.0.0.1.example.com/secret-path', {}, 'a URL with https'],
  ['http://localhost.example.com/secret-path', {}, 'a URL with https'],
  ['http://[::2]/secret-path', {}, 'a URL with https'],
  ['ftp://127.0.0.1/secret-path', {}, 'a URL with https'],
  ['file:///secret-path', {}, 'a URL with https'],
  ['javascript:secret-path', {}, 'a URL with https'],
  ['https://user:secret-path@hooks.example.com', {}, 'without a user'],
  ['secret-path', {}, 'a URL of at most'],
  [`https://hooks.example.com/secret-path${'x'.repeat(2_048)}`, {}, 'a URL of at most'],
  [undefined, {}, 'a URL'],
  [{ toString: (): string => 'https://hooks.example.com/secret-path' }, {}, 'a URL'],
  ['https://hooks.example.com', { timeoutMs: 5 }, 'timeoutMs must be an integer from 10 to 10000'],
  ['https://hooks.example.com', { headers: { Host: 'secret-path' } }, 'headers must be names'],
  ['https://hooks.example.com', { headers: { 'X-RateThrottle-Signature': 'x' } }, 'headers must'],
  ['https://hooks.example.com', { headers: { 'a b': 'secret-path' } }, 'headers must be names'],
  ['https://hooks.example.com', { headers: { a: 'secret-path\r\nb: c' } }, 'headers["a"] must be'],
  ['https://hooks.example.com', { headers: ['secret-path'] }, 'headers must be an object'],
  ['https://hooks.example.com', { secret: '' }, 'secret must be'],
  ['https://hooks.example.com', { secret: { 'secret-path': 1 } }, 'secret must be'],
  ['https://hooks.example.com', { secrets: 'x' }, 'unknown option "secrets"'],
])('refuses %s with %j, and shows neither', (url, options, message) => {
  const make = () => webhook(url as string, { secret: SECRET, ...(options as object) })
  expect(make).toThrow(message)
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(make).not.toThrow(/secret-path/)
})

it('takes http to this host, and to one that is named', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '[::1]', 'LOCALHOST', '2130706433']) {
    expect(webhook(`http://${host}:8080/`, { secret: SECRET }).kind).toBe('webhook')
  }
  expect(slack('http://hooks.internal/', { allowHttp: 'Hooks.internal' }).kind).toBe('slack')
})

it('no print of a channel, or of alerts, has the URL or the secret', () => {
  const channels = [
    webhook('https://hooks.example.com/secret-path', { secret: SECRET, headers: { a: SECRET } }),
    slack('https://hooks.slack.com/services/secret-path'),
  ]
  const watch = alerts({ rules: [{ when: 'denied.rate > 1' }], notify: channels })
  const shown = [channels, watch, watch.state()].map((value) => {
    return inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value)
  })
  expect(shown.join()).not.toMatch(/secret-path|thirty-two/)
  watch.close()
})

it('of a thousand notifications to a channel that hangs 100 wait; the oldest are dropped and counted', async () => {
  const { url, sockets } = await rawServer(() => {})
  const outbox = new Outbox(webhook(url, { secret: SECRET }))
  let over = 0
  for (let i = 0; i < 1_000; i++) void outbox.add(NOTIFICATION).then(() => over++)
  await new Promise(setImmediate)
  expect(outbox.state).toMatchObject({ waiting: 101, dropped: 899, delivered: 0 })
  expect(over).toBe(899)
  expect(sockets.length).toBeLessThanOrEqual(1)
})
