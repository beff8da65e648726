// Sends requests as fast as they are answered, until it is told to stop. Run as a thread: what it asked, and what it
// was answered, is the other side of the server's own log.
import { Agent, request } from 'node:http'
import { parentPort, workerData } from 'node:worker_threads'

const { port, keys, paths } = workerData
const CONNECTIONS = 32
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const statuses = {}
let isStopped = false
let asked = 0

function ask() {
  if (isStopped) return
  const at = asked++
  const headers = { 'x-key': `key-${at % keys}` }
  const path = paths[Math.floor(at / keys) % paths.length]
  const done = (status) => {
    statuses[status] = (statuses[status] ?? 0) + 1
    setImmediate(ask)
  }
  const sent = request({ agent, port, host: '127.0.0.1', path, headers }, (response) => {
    response.resume().on('end', () => done(response.statusCode))
  })
  sent.on('error', () => done('error')).end()
}

for (let i = 0; i < CONNECTIONS; i++) ask()
parentPort.on('message', () => {
  isStopped = true
  setTimeout(() => {
    parentPort.postMessage({ asked, statuses })
    agent.destroy()
    parentPort.close()
  }, 500)
})
