// What a limited server must do, asked over real connections. Its route /api/hello answers with `{ runs }`, how often it
// ran, after as many milliseconds as ?wait= says.
import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** Asks once. With `leave`, a call that ends the connection is put there. */
function ask(url, { from = '127.0.0.1', headers = {}, wait = 0, leave, body } = {}) {
  return new Promise((resolve, reject) => {
    const path = `${url}/api/hello${wait > 0 ? `?wait=${wait}` : ''}`
    const options = { agent: false, localAddress: from, headers, timeout: 60_000 }
    const posted = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }
    const call = request(path, body === undefined ? options : { ...options, ...posted })
    call.once('timeout', () => call.destroy(new Error(`${path} was not answered within a minute`)))
    call.once('error', reject)
    call.once('response', (response) => {
      let text = ''
      response.on('data', (part) => (text += part))
      response.once('error', reject)
      response.once('end', () => resolve(new Told(response, text)))
    })
    leave?.push(() => call.destroy())
    call.end(body)
  })
}

/** An answer. */
class Told {
  constructor({ statusCode, headers }, text) {
    this.status = statusCode
    this.headers = headers
    this.text = text
  }

  get runs() {
    return this.status === 200 ? JSON.parse(this.text).runs : 0
  }

  /** Seconds to wait; 0 if a refused client is not told all that it must be. */
  get wait() {
    const { headers } = this
    const isWhole = /^[1-9]\d*$/.test(headers['retry-after'] ?? '')
    const names = ['x-ratelimit-limit', 'x-ratelimit-reset']
    return isWhole && names.every((name) => name in headers) ? Number(headers['retry-after']) : 0
  }
}

function fail(found) {
  throw new Error(found)
}

/**
 * All of it, with a server of its own for each limit.
 *
 * @param addresses whether who asks is found by the connection alone
 * @param permits whether permits are held until the handler has ended, or the client has left
 */
export async function check(project, program, args, { addresses = true, permits = true } = {}) {
  const serve = (LIMITS, more, act) =>
    project.serve(program, args, { LIMITS, MORE: JSON.stringify(more) }, act)
  const found = [
    await serve('100/hour', {}, (url) => counts(url, addresses)),
    await serve('2/second', {}, obeys),
  ]
  if (permits) found.push(await serve('100000/hour', { concurrent: 3 }, frees))
  return found.join(', ')
}

/** At limit 100: of 200 callers at once 100 reach the handler, whatever they say of themselves; others have their own. */
async function counts(url, addresses) {
  const all = await Promise.all(Array.from({ length: 200 }, () => ask(url)))
  const admitted = all.filter(({ status }) => status === 200)
  const told = all.filter(({ status, wait }) => status === 429 && wait > 0)
  const shown = admitted.filter(({ headers }) => headers['x-ratelimit-limit'] === '100').length
  const runs = Math.max(...all.map((one) => one.runs))
  const found = `${admitted.length} of 200 answered 200, ${told.length} told to wait, ${runs} runs of the handler`
  if (admitted.length !== 100 || runs !== 100 || told.length !== 100)
    fail(`${found}: ${all.at(-1).status} ${all.at(-1).text}`)
  if (shown !== 100) fail(`${shown} of 100 answers say the limit`)
  const body = JSON.stringify({ posted: true })
  const posted = await ask(url, { from: '127.0.0.3', body })
  if (addresses && posted.text !== body)
    fail(`what was posted came back as ${posted.status} ${posted.text}`)
  if (!addresses) return found
  const forged = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
  const again = await ask(url, { headers: forged })
  if (again.status !== 429) fail(`a forged header was answered with ${again.status}`)
  const other = await ask(url, { from: '127.0.0.2' })
  if (other.status !== 200) fail(`another address was answered with ${other.status} ${other.text}`)
  return `${found}, addresses apart`
}

/** At limit 2/second: who waits as told is admitted. */
async function obeys(url) {
  let denied = 0
  for (let i = 0; i < 12; i++) {
    const first = await ask(url)
    if (first.status === 200) continue
    if (first.wait === 0) fail(`${first.status} without a wait`)
    denied++
    await pause(first.wait * 1000)
    const second = await ask(url)
    if (second.status !== 200) fail(`${second.status} after the wait that was told`)
  }
  if (denied < 2) fail(`only ${denied} of 12 were denied`)
  return `${denied} waited as told and were admitted`
}

/** With 3 permits: who hangs up frees its own, within seconds of a handler that takes longer; never a fourth. */
async function frees(url) {
  for (let round = 0; round < 4; round++) {
    const leave = []
    const held = Array.from({ length: 3 }, () =>
      ask(url, { wait: 15_000, leave }).catch(() => undefined),
    )
    await until(
      async () => (await ask(url)).status === 429,
      'three requests do not hold three permits',
    )
    for (const go of leave) go()
    await until(async () => (await ask(url)).status === 200, 'those who left still hold permits')
    await Promise.all(held)
  }
  const all = await Promise.all(Array.from({ length: 10 }, () => ask(url, { wait: 1500 })))
  const admitted = all.filter(({ status }) => status === 200).length
  if (admitted !== 3) fail(`${admitted} of 10 at once admitted with 3 permits`)
  return 'hang-ups free permits'
}

async function until(holds, otherwise) {
  for (let i = 0; i < 40; i++) {
    if (await holds()) return
    await pause(100)
  }
  fail(otherwise)
}
