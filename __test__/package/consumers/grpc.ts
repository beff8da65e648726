import * as grpc from '@grpc/grpc-js'
import { byIp, byMetadata, firstOf, type GrpcCall, interceptor } from 'ratethrottle/grpc'

const serialize = (text: string): Buffer => Buffer.from(text)
const deserialize = (bytes: Buffer): string => bytes.toString()
const path = '/pkg.Echo/Say'
const shape = { path, requestStream: false, responseStream: false }
const both = { requestSerialize: serialize, requestDeserialize: deserialize }
const service = {
  say: { ...shape, ...both, responseSerialize: serialize, responseDeserialize: deserialize },
}

const limits = interceptor({
  limits: '100/minute',
  concurrent: { perKey: 10, total: 100 },
  key: firstOf(byMetadata<GrpcCall>('x-api-key'), byIp()),
  methods: {
    [path]: { limits: '2/minute' },
    '/pkg.Files/*': { messages: '9/second', overflow: 'pause' },
  },
  skip: ({ method }) => method.startsWith('/grpc.health.v1.Health/'),
  onDeny: ({ request, dryRun }) => {
    if (request.method !== path || dryRun) throw new Error(request.method)
  },
})
const server = new grpc.Server({ interceptors: [limits] })
server.addService(service, {
  say: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) =>
    done(null, call.request),
})

async function main(): Promise<void> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      client.makeUnaryRequest(path, serialize, deserialize, 'hi', (error, answer) =>
        resolve(error === null ? String(answer) : (grpc.status[error.code] ?? '')),
      )
    })
  console.log([await ask(), await ask(), await ask()].join(' '))
  client.close()
  server.forceShutdown()
  limits.close()
}

void main()
