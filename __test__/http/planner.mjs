// A process whose limits are those of a plan: sends requests for one key, and prints how many were served.
import Fastify from 'fastify'
import fastifyRateThrottle from 'ratethrottle/fastify'

const [storage, algorithm, plan, times] = process.argv.slice(2)
const app = Fastify()
const options = { storage, algorithm, name: 'planned', deadlineMs: 30_000, key: () => 'one' }
await app.register(fastifyRateThrottle, { ...options, limits: () => plan })
app.get('/', () => 'done')
let served = 0
for (let i = 0; i < Number(times); i++) {
  if ((await app.inject('/')).statusCode === 200) served++
}
await app.close()
process.stdout.write(`${served}\n`)
process.exit()
