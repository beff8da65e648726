// The recipes of docs/guides in frameworks that are servers by themselves, and in Nitro, which builds one.
import { join } from 'node:path'
import { check } from './check.mjs'
import { Project } from './project.mjs'
import { recipe } from './texts.mjs'

const PAUSE = `const pause = (ms: unknown) => new Promise((done) => setTimeout(done, Number(ms ?? 0)))
let runs = 0
`
const LISTEN = "{ port: Number(process.env.PORT), hostname: '127.0.0.1' }"
const BUN = '@oven/bun-linux-x64@1.4.5'

const elysiaApp = (options, use) => `${PAUSE}
const app = new Elysia(${options})${use}
  .get('/api/hello', async ({ query }) => {
    runs++
    await pause(query.wait)
    return { runs }
  })
  .post('/api/hello', ({ body }) => body)
`

async function elysia(project, packages, files) {
  project.write({ 'limits.ts': recipe('elysia/limits.ts'), ...files })
  await project.install('elysia@1.4.30', ...packages)
}

export async function elysiaOnBun(folder, tarball) {
  const project = new Project(folder)
  const wrapped = `import { rateThrottle } from 'ratethrottle/web'
const { LIMITS, MORE } = process.env
const limiter = rateThrottle({ limits: String(LIMITS), ...JSON.parse(String(MORE)) })
`
  const from = "import { Elysia } from 'elysia'\n"
  await elysia(project, [tarball, BUN], {
    'listens.ts': `${from}import { limits } from './limits'
${elysiaApp('', '.use(limits)')}app.listen(${LISTEN})
`,
    'wrapped.ts': `${from}${wrapped}${elysiaApp('', '')}
Bun.serve({ ...${LISTEN}, fetch: limiter.wrap(app.fetch) })
`,
  })
  const bun = join(folder, 'node_modules/@oven/bun-linux-x64/bin/bun')
  // The guide says so: on Bun, permits want the wrapped handler.
  const hook = await check(project, bun, ['listens.ts'], { permits: false })
  return `${hook}; wrapped: ${await check(project, bun, ['wrapped.ts'])}`
}

export async function elysiaOnNode(folder, tarball) {
  const project = new Project(folder)
  await elysia(project, [tarball, '@elysiajs/node@1.4.5', 'esbuild@0.25'], {
    'main.ts': `import { node } from '@elysiajs/node'
import { Elysia } from 'elysia'
import { limits } from './limits'
${elysiaApp('{ adapter: node() }', '.use(limits)')}app.listen(${LISTEN})
`,
  })
  return bundled(project)
}

/** The oldest Node reads no TypeScript. */
async function bundled(project) {
  const flags = ['--bundle', '--platform=node', '--packages=external', '--format=esm']
  await project.run('esbuild', 'main.ts', ...flags, '--outfile=main.js')
  return check(project, project.node, ['main.js'])
}

export async function h3(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'limits.ts': recipe('h3/limits.ts'),
    'main.ts': `import { H3, serve } from 'h3'
import limits from './limits'
${PAUSE}
const app = new H3().use(limits)
app.get('/api/hello', async ({ url }) => {
  runs++
  await pause(url.searchParams.get('wait'))
  return { runs }
})
app.post('/api/hello', ({ req }) => req.json())
serve(app, ${LISTEN})
`,
  })
  await project.install(tarball, 'h3@2.0.8', 'esbuild@0.25')
  return bundled(project)
}

/** Nuxt's servers are of Nitro 2, which has h3 1. */
export async function nitro2(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'server/middleware/limits.ts': recipe('nitro2/limits.ts'),
    'server/routes/api/hello.ts': `import { eventHandler, getQuery, readBody } from 'h3'
${PAUSE}
export default eventHandler(async (event) => {
  if (event.method === 'POST') return readBody(event)
  runs++
  await pause(getQuery(event).wait)
  return { runs }
})
`,
    'nitro.config.ts': "export default { srcDir: 'server', compatibilityDate: '2026-01-01' }\n",
  })
  await project.install(tarball, 'nitropack@2.13.6', 'h3@1.15.11')
  await project.run('nitropack', 'build')
  return check(project, project.node, ['.output/server/index.mjs'])
}

export async function nitro3(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'server/middleware/limits.ts': recipe('h3/limits.ts').replace("'h3'", "'nitro/h3'"),
    'server/routes/api/hello.ts': `import { defineHandler } from 'nitro/h3'
${PAUSE}
export default defineHandler(async ({ req, url }) => {
  if (req.method === 'POST') return req.json()
  runs++
  await pause(url.searchParams.get('wait'))
  return { runs }
})
`,
    'nitro.config.ts': "export default { serverDir: './server', traceDeps: ['ratethrottle'] }\n",
  })
  await project.install(tarball, 'nitro@3.0.260903-beta')
  await project.run('nitro', 'build')
  return check(project, project.node, ['.output/server/index.mjs'])
}
