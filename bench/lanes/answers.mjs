// Shows, for each case that it is given, that the server without a limiter sends the bytes that ratethrottle sends.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { ADMIT, DENY } from '../limits.mjs'
import { BARE, OURS } from '../peers/http-answers.mjs'
import { isByHand, startServer } from '../peers/http-servers.mjs'

const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n'

for (const name of process.argv.slice(2)) {
  const expected = await answerOf(name, OURS)
  assert.match(expected, name.endsWith('deny') ? /^HTTP\/1.1 429/ : /^HTTP\/1.1 200/)
  assert.equal(comparable(await answerOf(name, BARE)), comparable(expected), name)
}
process.exit()

async function answerOf(name, subject) {
  const [framework, outcome] = name.split('-')
  const isDenied = outcome === 'deny'
  const limit = isDenied ? DENY : ADMIT
  const server = await startServer({ framework, subject, isDenied, limit })
  const { port } = server.address()
  // The first request uses up the only unit.
  if (isDenied && !isByHand(subject)) await ask(port)
  return ask(port)
}

async function ask(port) {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  let text = ''
  socket.on('data', (more) => {
    text += more
  })
  socket.write(REQUEST)
  await once(socket, 'close')
  return text
}

/** Time passes between two answers: their digits may differ, but not how many there are. */
function comparable(answer) {
  return answer.replace(/^Date: .*$/m, 'Date').replaceAll(/\d/g, '9')
}
