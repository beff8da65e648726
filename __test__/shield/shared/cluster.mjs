// Three cluster workers behind one port, with one shield: node cluster.mjs <name>. One that dies is replaced.
// Prints the port and the pids of the workers, as a line of JSON, whenever one has begun to listen.
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'

const WORKERS = 3
const pids = new Map()

if (cluster.isPrimary) {
  cluster.on('listening', (worker, { port }) => {
    pids.set(worker.id, worker.process.pid)
    if (pids.size === WORKERS) console.log(JSON.stringify({ port, pids: [...pids.values()] }))
  })
  cluster.on('exit', (worker) => {
    pids.delete(worker.id)
    cluster.fork()
  })
  for (let n = 0; n < WORKERS; n++) cluster.fork()
  process.on('SIGTERM', () => {
    cluster.removeAllListeners('exit')
    cluster.on('exit', () => Object.keys(cluster.workers).length === 0 && process.exit())
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL')
  })
} else {
  const shield = { mode: 'enforce', shared: true, name: process.argv[2] }
  const { wrap } = rateThrottle({ shield })
  const server = createServer(
    wrap((request, response) => {
      response.statusCode = request.url.startsWith('/missing') ? 404 : 200
      response.setHeader('connection', 'close').end(`${process.pid}`)
    }),
  )
  server.listen(0, '127.0.0.1')
}
