// What a connection of a blocked source costs the server, beside a request that is refused on a connection of its
// own: node bench/shield/connections.mjs [rounds]
//
// CPU of the server's process, system calls included, in microseconds for each connection: the first quartile of the
// rounds. The servers are processes of their own and take turns.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

const ROUNDS = Number(process.argv[2] ?? 21)
const CONNECTIONS = 1_000
const IN_FLIGHT = 8
const FRAMEWORKS = ['node', 'express', 'fastify']
/** A blocked source refused by the shield, or by a limit, or by what `protect` does. */
const KINDS = ['limit', 'shield', '429', 'reset']
const TEXT = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'

function exchange(port, kind) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    let read = ''
    socket.setEncoding('latin1')
    socket.on('data', (data) => {
      read += data
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      const isRight = kind === 'reset' ? read === '' : read.startsWith('HTTP/1.1 429 ')
      if (isRight) resolve()
      else reject(new Error(`${kind}: ${read.slice(0, 40)}`))
    })
    socket.write(TEXT)
  })
}

async function connectMany(port, kind, count) {
  let left = count
  const lane = async () => {
    while (left-- > 0) await exchange(port, kind)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
}

async function cpuOf(child) {
  child.send('cpu')
  const [us] = await once(child, 'message')
  return us
}

/** Whatever else the machine does adds to a round, and nothing takes away from it. */
const quarter = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 2]

async function start(framework, kind) {
  const child = fork(fileURLToPath(import.meta.resolve('./blocked-server.mjs')), [framework, kind])
  const [port] = await once(child, 'message')
  await connectMany(port, kind, 3 * CONNECTIONS)
  return { framework, kind, child, port, rounds: [] }
}

const servers = []
for (const framework of FRAMEWORKS) {
  for (const kind of KINDS) servers.push(await start(framework, kind))
}
for (let round = 0; round < ROUNDS; round++) {
  for (const server of servers) {
    const before = await cpuOf(server.child)
    await connectMany(server.port, server.kind, CONNECTIONS)
    server.rounds.push(((await cpuOf(server.child)) - before) / CONNECTIONS)
  }
}
const rows = FRAMEWORKS.map((framework) => {
  const own = servers.filter((server) => server.framework === framework)
  const us = Object.fromEntries(own.map(({ kind, rounds }) => [kind, quarter(rounds)]))
  const round = (number) => Number(number.toFixed(2))
  return {
    framework,
    ...Object.fromEntries(Object.entries(us).map(([kind, value]) => [`${kind} µs`, round(value)])),
    '429 / limit': round(us['429'] / us.limit),
    '429 / shield': round(us['429'] / us.shield),
    'reset / limit': round(us.reset / us.limit),
  }
})
console.table(rows)
for (const { child } of servers) child.disconnect()
