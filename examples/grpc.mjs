// node examples/grpc.mjs: a gRPC server with limits, and a client that is refused, waits as it is told, and is served.
import * as grpc from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { interceptor } from 'ratethrottle/grpc'

// In place of a .proto file, which loadSync('echo.proto') would read.
const text = { id: 1, type: 'string' }
const definition = fromJSON({
  nested: {
    echo: {
      nested: {
        Text: { fields: { text } },
        Echo: {
          methods: {
            Say: { requestType: 'Text', responseType: 'Text' },
            Chat: {
              requestType: 'Text',
              requestStream: true,
              responseType: 'Text',
              responseStream: true,
            },
          },
        },
      },
    },
  },
})
const { Echo } = grpc.loadPackageDefinition(definition).echo

const limits = interceptor({
  limits: '100/minute',
  concurrent: 10,
  messages: '20/second',
  overflow: 'pause',
  methods: { '/echo.Echo/Say': '2/second' },
  skip: ['/grpc.health.v1.Health/*'],
})

const server = new grpc.Server({ interceptors: [limits] })
server.addService(Echo.service, {
  Say: (call, done) => done(null, call.request),
  Chat: (call) => {
    call.on('data', (message) => call.write(message))
    call.on('end', () => call.end())
  },
})

const address = `127.0.0.1:${process.env.PORT ?? 0}`
const port = await new Promise((resolve, reject) => {
  server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  )
})
const client = new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure())

const say = () =>
  new Promise((resolve) => {
    client.Say({ text: 'hello' }, (error, answer) => resolve({ error, text: answer?.text }))
  })

for (let i = 0; i < 3; i++) {
  const { error, text } = await say()
  if (error === null) {
    console.log(text)
    continue
  }
  const [seconds] = error.metadata.get('retry-after')
  console.log(`${grpc.status[error.code]}: ${error.details}; retry-after ${seconds}`)
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000))
  console.log((await say()).text)
}

// Thirty messages where twenty a second are read: the last ones come later, and none is lost.
const chat = client.Chat()
let answers = 0
const ended = new Promise((resolve) => chat.on('end', resolve))
chat.on('data', () => answers++)
for (let i = 0; i < 30; i++) chat.write({ text: String(i) })
chat.end()
await ended
console.log(`${answers} messages came back`)

client.close()
server.forceShutdown()
limits.close()
