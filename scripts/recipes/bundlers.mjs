// What docs/guides/next-and-bundlers.md says of each bundler: without the cure it fails, with it the program runs.
import { Project } from './project.mjs'

const PROGRAM = `import { RateLimiter } from 'ratethrottle'
const limiter = new RateLimiter('2/minute')
console.log([1, 2, 3].map(() => limiter.allow('ada')).join(' '))
`
const RIGHT = 'true true false\n'

/** @throws Error unless the bundle counts right */
async function runs(project, file) {
  const printed = await project.run('node', file)
  if (printed !== RIGHT) throw new Error(`${file} printed ${printed}`)
}

/** @throws Error unless the bundle can not be made, or does not run */
async function fails(act, name) {
  const worked = await act().then(
    () => true,
    () => false,
  )
  if (worked) throw new Error(`${name} works without its cure: the guide says that it does not`)
}

export async function esbuild(folder, tarball) {
  const project = new Project(folder)
  project.write({ 'main.mjs': PROGRAM })
  await project.install(tarball, 'esbuild@0.25')
  // npm ran no script of esbuild's that would have put its program there.
  const bundle = (out, ...flags) =>
    project.run('esbuild', 'main.mjs', '--bundle', '--platform=node', `--outfile=${out}`, ...flags)
  await fails(() => bundle('plain.cjs'), 'esbuild')
  await bundle('external.cjs', '--external:ratethrottle')
  await runs(project, 'external.cjs')
  await bundle('out/copied.cjs', '--loader:.node=copy')
  await runs(project, 'out/copied.cjs')
  return '--external and the copy loader run'
}

export async function vite(folder, tarball) {
  const project = new Project(folder)
  project.write({
    'main.mjs': PROGRAM,
    'cured.config.mjs':
      "export default { ssr: { noExternal: true, external: ['ratethrottle'] } }\n",
    'inlined.config.mjs': 'export default { ssr: { noExternal: true } }\n',
  })
  await project.install(tarball, 'vite@7.3.8')
  const build = (out, ...flags) =>
    project.run('vite', 'build', '--ssr', 'main.mjs', '--outDir', out, ...flags)
  await fails(async () => {
    await build('inlined', '--config', 'inlined.config.mjs')
    await runs(project, 'inlined/main.js')
  }, 'vite')
  await build('external')
  await runs(project, 'external/main.js')
  await build('cured', '--config', 'cured.config.mjs')
  await runs(project, 'cured/main.js')
  return 'a dependency of a server build is external, and runs'
}
