import { rmSync } from 'node:fs'
import { access, cp, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { npm } from './command.ts'
import { PROJECTS, RUNTIMES } from './projects.ts'

const ROOT = process.cwd()
const BUILT = ['dist/index.js', 'crate/napi/binding.cjs']

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether every combination is tested. */
    readonly full: boolean
    /** Major versions of Node to run on. */
    readonly nodes: number[]
    /** The folder of all projects. */
    readonly place: string
    readonly tarball: Tarball
  }
}

/** What `npm pack` made. */
export interface Tarball {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: { readonly path: string }[]
}

/** Packs the checkout as it is built, and installs the tarball into a project of each kind. */
export default async function setup(project: TestProject): Promise<void> {
  const place = await mkdtemp(join(await realpath(tmpdir()), 'ratethrottle-package-'))
  // Not a teardown: vitest skips that when it is interrupted, and half a gigabyte would stay.
  process.once('exit', () => rmSync(place, { recursive: true, force: true, maxRetries: 3 }))
  const tarball = await pack(place)
  project.provide('place', place)
  project.provide('tarball', tarball)
  await installAll(place, join(place, tarball.filename), project.getProvidedContext().nodes)
}

async function pack(place: string): Promise<Tarball> {
  for (const file of BUILT) await access(join(ROOT, file)).catch(() => refuse(file))
  const answer = await npm(['pack', '--json', '--pack-destination', place], ROOT)
  // An array of one, or one under the package's name: npm 11 and 12 differ.
  const [tarball] = Object.values(JSON.parse(answer)) as [Tarball]
  return tarball
}

function refuse(file: string): never {
  throw new Error(`${file} is missing, and the package is tested as it is built: npm run build`)
}

async function installAll(place: string, tarball: string, nodes: number[]): Promise<void> {
  const installs = Object.entries(PROJECTS).map(([name, packages]) =>
    install(join(place, name), [tarball, ...packages]),
  )
  const others = nodes.filter((major) => !process.version.startsWith(`v${major}.`))
  // One published package per platform and version; several beside each other need different names.
  const kind = `node-${process.platform}-${process.arch}`
  const aliases = others.map((major) => `node${major}@npm:${kind}@${major}`)
  const runtimes = Object.values(RUNTIMES).map(({ folder, version }) => `${folder}@${version}`)
  await Promise.all([...installs, install(join(place, 'nodes'), [...aliases, ...runtimes])])
}

async function install(folder: string, packages: string[]): Promise<void> {
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  await cp(join(ROOT, '__test__/package/probes'), folder, { recursive: true })
  if (packages.length > 0) await npm(['install', ...packages], folder)
}
