import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

/** An import that each layer must not have. */
const UPWARD = [
  ['ts/limit/x.ts', '../http/options.ts'],
  ['ts/native/x.ts', '../rate-limiter.ts'],
  ['ts/rate-limiter.ts', './create.ts'],
  ['ts/wait-queue/x.ts', '../remote/guard.ts'],
  ['ts/client-ip/x.ts', '../http/client.ts'],
  ['ts/client-ip/x.ts', '../options.ts'],
  ['ts/remote/x.ts', '../redis/url.ts'],
  ['ts/remote/x.ts', '../http/events.ts'],
  ['ts/redis/x.ts', '../http/events.ts'],
  ['ts/permits/x.ts', '../http/events.ts'],
  ['ts/permits/x.ts', '../calls/options.ts'],
  ['ts/permits/x.ts', 'ioredis'],
  ['ts/redis/script/x.ts', '../../http/events.ts'],
  ['ts/create.ts', './adapters/fastify.ts'],
  ['ts/storage-url.ts', './http/events.ts'],
  ['ts/http/x.ts', '../adapters/express.ts'],
  ['ts/http/x.ts', '../redis/url.ts'],
  ['ts/http/x.ts', 'fastify'],
  ['ts/calls/x.ts', '../adapters/grpc.ts'],
  ['ts/calls/x.ts', '../redis/url.ts'],
  ['ts/calls/x.ts', '@grpc/grpc-js'],
  ['ts/shield/x.ts', '../adapters/express.ts'],
  ['ts/shield/x.ts', '../redis/url.ts'],
  ['ts/shield/x.ts', 'express'],
  ['ts/http/x.ts', '../overload/load-meter.ts'],
  ['ts/adapters/grpc.ts', './express.ts'],
  ['ts/adapters/grpc/x.ts', '../websocket.ts'],
  ['ts/adapters/grpc/x.ts', '../../redis/url.ts'],
  ['ts/adapters/grpc/x.ts', 'ws'],
  ['ts/overload/x.ts', '../shield/guard.ts'],
  ['ts/overload/x.ts', '../adapters/express.ts'],
  ['ts/overload/x.ts', '../remote/guard.ts'],
  ['ts/overload/x.ts', '../native/binding.ts'],
  ['ts/overload/x.ts', 'fastify'],
  ['ts/insight/x.ts', '../adapters/express.ts'],
  ['ts/insight/x.ts', '../redis/url.ts'],
  ['ts/insight/x.ts', 'fastify'],
  ['ts/insight/page/client/x.ts', '../snapshot.ts'],
  ['ts/insight/page/client/x.ts', 'node:fs'],
  ['ts/insight/page/client/x.ts', 'react'],
  ['ts/config/x.ts', '../adapters/express.ts'],
  ['ts/config/x.ts', '../redis/url.ts'],
  ['ts/config/x.ts', 'fastify'],
  ['ts/decorators/x.ts', '../http/events.ts'],
  ['ts/cli/x.ts', '../adapters/hono.ts'],
  ['ts/control/x.ts', '../redis/url.ts'],
  ['ts/control/x.ts', '../cli/main.ts'],
  ['ts/control/x.ts', 'fastify'],
  ['ts/adapters/fastify/x.ts', 'express'],
  ['ts/adapters/express.ts', './hono.ts'],
  ['ts/adapters/koa.ts', './express.ts'],
  ['ts/adapters/koa/x.ts', '../../redis/url.ts'],
  ['ts/adapters/koa/x.ts', 'express'],
  ['ts/shield/x.ts', 'koa'],
  ['ts/adapters/hono.ts', '../redis/url.ts'],
  ['ts/adapters/node-http.ts', 'fastify'],
  ['ts/adapters/web.ts', '../redis/url.ts'],
  ['ts/adapters/websocket/x.ts', 'ws'],
  ['ts/adapters/websocket/x.ts', 'socket.io'],
  ['ts/adapters/websocket/x.ts', '../express.ts'],
  ['ts/adapters/websocket/x.ts', '../../redis/url.ts'],
  ['ts/adapters/web/x.ts', 'hono'],
  ['ts/adapters/web/x.ts', '../express.ts'],
  ['ts/adapters/express.ts', './web/answer.ts'],
  ['ts/adapters/hono.ts', './web.ts'],
  ['ts/adapters/nest/x.ts', '../hono.ts'],
  ['ts/adapters/nest.ts', './express.ts'],
  ['ts/adapters/nest/x.ts', '../../redis/url.ts'],
  ['ts/adapters/graphql/x.ts', 'graphql-yoga'],
  ['ts/adapters/graphql.ts', './fastify.ts'],
  ['ts/adapters/graphql/x.ts', '../../redis/url.ts'],
  ['ts/http/x.ts', '#binding'],
  ['ts/redis/x.ts', '#binding'],
] as const

/** Imports that a layer may have. */
const DOWNWARD = [
  ['ts/http/y.ts', '../create.ts'],
  ['ts/calls/y.ts', '../http/events.ts'],
  ['ts/config/y.ts', '../http/options.ts'],
  ['ts/shield/y.ts', '../http/node.ts'],
  ['ts/shield/y.ts', '../overload/load-meter.ts'],
  ['ts/adapters/grpc/y.ts', '@grpc/grpc-js'],
  ['ts/adapters/grpc/z.ts', '../../calls/gate.ts'],
  ['ts/overload/y.ts', '../http/node.ts'],
  ['ts/redis/y.ts', '../remote/guard.ts'],
  ['ts/permits/y.ts', '../storage-url.ts'],
  ['ts/insight/page/client/y.ts', './format.ts'],
  ['ts/cli/y.ts', '../control/client.ts'],
  ['ts/adapters/fastify/y.ts', 'fastify'],
  ['ts/adapters/hono/y.ts', '../web/response.ts'],
  ['ts/adapters/koa/y.ts', 'koa'],
  ['ts/adapters/nest/y.ts', '../express/requests.ts'],
  ['ts/adapters/graphql/y.ts', '../../calls/gate.ts'],
  ['ts/native/binding.ts', '#binding'],
] as const

/** Of files that have one import each: those that the project's linter refuses. */
function refused(imports: readonly (readonly [string, string])[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-layers-'))
  const config = JSON.parse(readFileSync('biome.json', 'utf8'))
  const { $schema: _, vcs: __, ...rest } = config
  writeFileSync(join(folder, 'biome.json'), JSON.stringify(rest))
  for (const [index, [file, specifier]] of imports.entries()) {
    const path = join(folder, file.endsWith('/x.ts') ? file.replace('x.ts', `x${index}.ts`) : file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `import { x } from '${specifier}'\n\nexport const y = x\n`)
  }
  const biome = join(process.cwd(), 'node_modules/.bin/biome')
  const args = ['lint', '--only=style/noRestrictedImports', '--max-diagnostics=200', '.']
  const { stdout, stderr } = spawnSync(biome, args, { cwd: folder, encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  const text = stdout + stderr
  return imports.flatMap(([file, specifier], index) => {
    const name = file.endsWith('/x.ts') ? file.replace('x.ts', `x${index}.ts`) : file
    return text.includes(`${name}:1`) ? [`${file} of ${specifier}`] : []
  })
}

it('the linter refuses every import that points up, and none that points down', () => {
  const names = UPWARD.map(([file, specifier]) => `${file} of ${specifier}`)
  expect(refused([...UPWARD, ...DOWNWARD])).toEqual(names)
})
