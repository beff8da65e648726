// The recipes of docs/guides in the frameworks that build: a real server of each, asked over real connections.
import { check } from './check.mjs'
import { newerNode, Project } from './project.mjs'
import { LOADER, NEXT_ROUTE, plain, ROUTE, recipe } from './texts.mjs'

const TYPES = ['typescript@5', '@types/node@20', '@types/react@19']
const REACT = ['react@19.2.7', 'react-dom@19.2.7']

export async function next(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'proxy.ts': recipe('next/proxy.ts'),
    'next.config.mjs': "export default { serverExternalPackages: ['ratethrottle'] }\n",
    'app/layout.jsx': 'export default ({ children }) => <html><body>{children}</body></html>\n',
    'app/page.jsx': 'export default () => <p>hello</p>\n',
    'app/api/hello/route.ts': NEXT_ROUTE,
  })
  await project.install(tarball, 'next@16.4.6', ...REACT, ...TYPES)
  await project.run('next', 'build')
  const start = ['node_modules/next/dist/bin/next', 'start', '-H', '127.0.0.1', '-p', 'PORT']
  // Next.js adds the hop of its own connection, as a proxy does; `proxy` has answered before the route runs.
  return check(project, project.node, start, { addresses: false, permits: false })
}

const SVELTE = {
  'src/hooks.server.ts': () => recipe('sveltekit/hooks.server.ts'),
  'src/app.html': () =>
    '<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>',
  'src/routes/api/hello/+server.ts': () => ROUTE,
}
const ADAPTER = `import adapter from '@sveltejs/adapter-node'
import { sveltekit } from '@sveltejs/kit/vite'
`

async function svelte(project, files, packages) {
  const shared = Object.entries(SVELTE).map(([name, text]) => [name, text()])
  project.write({ ...Object.fromEntries(shared), ...files })
  await project.install(...packages)
  await project.run('vite', 'build')
  return check(project, project.node, ['build'])
}

export function sveltekit(folder, tarball) {
  const files = {
    'svelte.config.js':
      "import adapter from '@sveltejs/adapter-node'\nexport default { kit: { adapter: adapter() } }\n",
    'vite.config.js': `${ADAPTER}export default { plugins: [sveltekit()] }\n`,
  }
  const kit = ['@sveltejs/kit@2.70.4', '@sveltejs/adapter-node@5.5.7']
  const rest = ['svelte@5.57.3', '@sveltejs/vite-plugin-svelte@6.2.4', 'vite@7.3.8']
  return svelte(new Project(folder), files, [tarball, ...kit, ...rest])
}

export async function sveltekit3(folder, tarball) {
  const files = {
    'vite.config.js': `${ADAPTER}export default { plugins: [sveltekit({ adapter: adapter() })] }\n`,
  }
  const kit = ['@sveltejs/kit@3.2.0', '@sveltejs/adapter-node@6.0.1']
  const rest = ['svelte@5.57.3', '@sveltejs/vite-plugin-svelte@7.3.1', 'vite@8.4.0']
  const project = new Project(folder, await newerNode(folder))
  return svelte(project, files, [tarball, ...kit, ...rest])
}

export async function astro(folder, tarball) {
  const project = new Project(folder, await newerNode(folder))
  project.write({
    'src/middleware.ts': recipe('astro/middleware.ts'),
    'src/pages/api/hello.ts': ROUTE,
    'astro.config.mjs': `import node from '@astrojs/node'
export default { output: 'server', adapter: node({ mode: 'standalone' }) }
`,
  })
  await project.install(tarball, 'astro@7.3.5', '@astrojs/node@11.1.6')
  await project.run('astro', 'build')
  return check(project, project.node, ['dist/server/entry.mjs'])
}

async function router(project, version, files, tarball) {
  const server = plain('react-router/server/app.ts').replace(
    '3000',
    "Number(process.env.PORT), '127.0.0.1'",
  )
  project.write({
    'app/limits.ts': recipe('react-router/app/limits.ts'),
    'app/root.tsx': `import { Outlet } from 'react-router'
import { limits } from './limits'
export const middleware = [limits]
export default () => <html><body><Outlet /></body></html>
`,
    'app/routes.ts': `import { route } from '@react-router/dev/routes'
export default [route('api/hello', 'hello.ts')]
`,
    'app/hello.ts': LOADER,
    'server/app.ts': server,
    ...files,
  })
  const own = ['dev', 'node', 'express', 'serve'].map((name) => `@react-router/${name}@${version}`)
  const packages = [
    `react-router@${version}`,
    ...own,
    ...REACT,
    'isbot@5',
    'vite@7.3.8',
    'express@5',
  ]
  await project.install(tarball, ...packages)
  await project.run('react-router', 'build')
  return check(project, project.node, ['build/server/index.js'])
}

/** The server is the entry of the build, so that it and the app have one `clientAddress`. */
const routerConfig = (build) => `import { reactRouter } from '@react-router/dev/vite'
export default ({ isSsrBuild }) => ({ plugins: [reactRouter()], ${build} })
`
const INPUT = "{ rollupOptions: { input: './server/app.ts' } }"

export function reactRouter7(folder, tarball) {
  const files = {
    'react-router.config.ts': 'export default { future: { v8_middleware: true } }\n',
    'vite.config.ts': routerConfig(`build: isSsrBuild ? ${INPUT} : {}`),
  }
  return router(new Project(folder), '7.18.4', files, tarball)
}

export async function reactRouter8(folder, tarball) {
  const build = `environments: { ssr: { build: ${INPUT} } }`
  const project = new Project(folder, await newerNode(folder))
  return router(project, '8.4.0', { 'vite.config.ts': routerConfig(build) }, tarball)
}
