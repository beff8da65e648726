// One worker of several: serves an example on a free port and sends the port to its parent.
const { buildService } = await import(`../../examples/dist/${process.argv[2]}.js`)
// On a busy machine Redis may be late, and each worker would then decide locally.
const app = await buildService({ deadlineMs: 30_000, connectTimeoutMs: 60_000 })
const server = app.server ?? app.listen(0, '127.0.0.1')
if (app.server !== undefined) await app.listen({ host: '127.0.0.1', port: 0 })
else await new Promise((resolve) => server.once('listening', resolve))
process.send(server.address().port)
