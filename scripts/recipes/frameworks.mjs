// The recipes of docs/guides in the real frameworks: of 200 requests at once exactly 100 may reach the handler.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Project } from './project.mjs'

const recipe = (name) => readFileSync(join('__test__/recipes', name), 'utf8')
const ROUTE = `let runs = 0
export function GET() {
  runs++
  return Response.json({ runs })
}
`

/** @throws Error unless the limit held to the request */
async function check(url) {
  const ask = async (headers) => {
    const answer = await fetch(`${url}/api/hello`, { headers, signal: AbortSignal.timeout(30_000) })
    const text = await answer.text()
    const { status } = answer
    return {
      status,
      runs: status === 200 ? JSON.parse(text).runs : 0,
      wait: answer.headers.get('retry-after'),
    }
  }
  const all = await Promise.all(Array.from({ length: 200 }, () => ask({})))
  const admitted = all.filter(({ status }) => status === 200).length
  const runs = Math.max(...all.map((one) => one.runs))
  const told = all.filter(({ status, wait }) => status === 429 && Number(wait) > 0).length
  const found = `${admitted} of 200 answered 200, ${told} told to wait, ${runs} runs of the handler`
  if (admitted !== 100 || runs !== 100 || told !== 100) throw new Error(found)
  return found
}

export async function next(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'proxy.ts': recipe('next/proxy.ts'),
    'next.config.mjs': "export default { serverExternalPackages: ['ratethrottle'] }\n",
    'app/layout.jsx': 'export default ({ children }) => <html><body>{children}</body></html>\n',
    'app/page.jsx': 'export default () => <p>hello</p>\n',
    'app/api/hello/route.js': ROUTE,
  })
  const react = ['react@19.2.7', 'react-dom@19.2.7']
  await project.install(
    tarball,
    'next@16.4.6',
    ...react,
    'typescript@5',
    '@types/react@19',
    '@types/node@20',
  )
  await project.run('next', 'build')
  const start = ['node_modules/next/dist/bin/next', 'start', '-H', '127.0.0.1', '-p', 'PORT']
  return project.serve(start, {}, check)
}

export async function sveltekit(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'src/hooks.server.ts': recipe('sveltekit/hooks.server.ts'),
    'src/app.html':
      '<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>',
    'src/routes/api/hello/+server.js': ROUTE,
    'svelte.config.js':
      "import adapter from '@sveltejs/adapter-node'\nexport default { kit: { adapter: adapter() } }\n",
    'vite.config.js':
      "import { sveltekit } from '@sveltejs/kit/vite'\nexport default { plugins: [sveltekit()] }\n",
  })
  const kit = ['@sveltejs/kit@2.70.4', '@sveltejs/adapter-node@5.5.7']
  const svelte = ['svelte@5.57.3', '@sveltejs/vite-plugin-svelte@6.2.4', 'vite@7.3.8']
  await project.install(tarball, ...kit, ...svelte)
  await project.run('vite', 'build')
  return project.serve(['build'], { HOST: '127.0.0.1' }, check)
}
