// Serves a page, opens it live, and closes the server: the process has to end by itself.
import { createServer, get } from 'node:http'
import { createRequire } from 'node:module'

const { insightPage } = createRequire(import.meta.url)('../../../dist/insight/page/index.js')
const view = {
  report: () => {
    throw new Error('there is nothing to report')
  },
}
const server = createServer(insightPage(view, { authorize: () => true }))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address()
  get({ port, host: '127.0.0.1', path: '/?figures=live' }, (res) => {
    res.resume()
    res.once('data', () => {
      console.log('live')
      server.close(() => console.log('closed'))
    })
  })
})
setTimeout(() => process.exit(9), 20_000).unref()
