import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

// What a user meets whose addon is missing or can't be loaded: an installed package, and what is wrong with it.

const report = process.report?.getReport() as
  | { header: { glibcVersionRuntime?: string } }
  | undefined
const libc = report?.header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
const PLATFORMS: Record<string, string> = { linux: `-${libc}`, win32: '-msvc' }
const PLATFORM = `${process.platform}-${process.arch}${PLATFORMS[process.platform] ?? ''}`
const ADDON = `ratethrottle.${PLATFORM}.node`
const BUILT = join(ROOT, 'crate/napi', ADDON)

const home = mkdtempSync(join(tmpdir(), 'ratethrottle-loader-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

let made = 0

/** A project with the package installed, without the addon. */
function install(): string {
  const project = join(home, String(made++))
  const into = join(project, 'node_modules/ratethrottle')
  mkdirSync(join(into, 'crate/napi'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(into, 'package.json'))
  copyFileSync(join(ROOT, 'crate/napi/binding.cjs'), join(into, 'crate/napi/binding.cjs'))
  cpSync(join(ROOT, 'dist'), join(into, 'dist'), { recursive: true })
  return project
}

const addonOf = (project: string) => join(project, 'node_modules/ratethrottle/crate/napi', ADDON)

interface Found {
  readonly code?: string
  readonly message: string
  readonly asked: readonly string[]
}

const PROGRAM = `
  const Module = require('node:module')
  const asked = new Set()
  const resolve = Module._resolveFilename
  Module._resolveFilename = function (name, ...rest) {
    if (/^ratethrottle-/.test(name)) asked.add(name.split('/')[0])
    return resolve.call(this, name, ...rest)
  }
  let found = { message: 'loaded' }
  try {
    const { RateLimiter } = require('ratethrottle')
    if (!new RateLimiter('1/minute').allow('k')) found = { message: 'denied' }
  } catch (error) {
    const texts = []
    for (let at = error; at; at = at.cause) texts.push(at.message)
    found = { code: error.code, message: error.message, all: texts.join('\\n') }
  }
  console.log(JSON.stringify({ ...found, asked: [...asked] }))
`

function load(project: string, flags: readonly string[] = [], before = ''): Found {
  const env = { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: '' }
  const words = [...flags, '-e', before + PROGRAM]
  const child = spawnSync(process.execPath, words, {
    cwd: project,
    env,
    encoding: 'utf8',
    timeout: 200_000,
  })
  expect(child.status, child.stderr).toBe(0)
  return JSON.parse(child.stdout)
}

/** The message names nothing that does not exist, and npm only where npm may be the cause. */
function expectCause(found: Found, code: string, cause: RegExp): void {
  expect(found.message).not.toMatch(/wasm|wasi/i)
  if (code !== 'ADDON_MISSING') expect(found.message).not.toMatch(/4828/)
  expect(found.code).toBe(code)
  expect(found.message).toMatch(cause)
}

test('a missing addon causes an error that names its package and the npm command', () => {
  const found = load(install())
  expectCause(found, 'ADDON_MISSING', new RegExp(`ratethrottle-${PLATFORM}.*4828`, 's'))
})

test('only the package of this platform is required', () => {
  const project = install()
  expect(load(project).asked).toEqual([`ratethrottle-${PLATFORM}`])
  copyFileSync(BUILT, packaged(project))
  const { message, asked } = load(project)
  expect({ message, asked }).toEqual({ message: 'loaded', asked: [`ratethrottle-${PLATFORM}`] })
})

test('with --no-addons the error names the flag', () => {
  const project = install()
  copyFileSync(BUILT, addonOf(project))
  expectCause(load(project, ['--no-addons']), 'ADDON_NOT_ALLOWED', /--no-addons/)
})

test('with --permission and without --allow-addons the error names the flag', () => {
  const project = install()
  copyFileSync(BUILT, addonOf(project))
  const isNew = process.allowedNodeEnvironmentFlags.has('--permission')
  const flag = isNew ? '--permission' : '--experimental-permission'
  expectCause(load(project, [flag, '--allow-fs-read=*']), 'ADDON_NOT_ALLOWED', /--allow-addons/)
})

test.each([
  ['in a checkout', addonOf],
  ['in its package', (project: string) => packaged(project)],
])('a damaged file %s causes an error that says so', (_, place) => {
  const project = install()
  writeFileSync(place(project), 'no addon at all')
  expectCause(load(project), 'ADDON_NOT_LOADABLE', /damaged or made for another system/)
})

describe.runIf(process.platform === 'linux')('on Linux', () => {
  test('the error names a system library that is missing', () => {
    const project = install()
    const bytes = readFileSync(BUILT).toString('latin1')
    // The same length, and no such library.
    const broken = bytes.replaceAll('libc.so.6', 'libq.so.6')
    writeFileSync(addonOf(project), Buffer.from(broken, 'latin1'))
    expectCause(load(project), 'ADDON_NOT_LOADABLE', /libq\.so\.6.*C library/s)
  })

  test.each([
    ['musl', '7f0 r-xp 0 00:00 1 /lib/ld-musl-x86_64.so.1'],
    ['gnu', '7f0 r-xp 0 00:00 1 /srv/ld-musl-app/libc.so.6'],
  ])('the package is chosen by the C library of the process: %s', (name, maps) => {
    const before = `
      const fs = require('node:fs'), read = fs.readFileSync
      fs.readFileSync = (path, ...rest) => (path === '/proc/self/maps' ? ${JSON.stringify(maps)} : read(path, ...rest))
      process.report.getReport = () => ({ header: {}, sharedObjects: [] })
    `
    expect(load(install(), [], before).asked).toEqual([
      `ratethrottle-linux-${process.arch}-${name}`,
    ])
  })
})

test('an unsupported platform causes an error that names the supported ones', () => {
  const before = `Object.defineProperty(process, 'platform', { value: 'sunos' });`
  expectCause(load(install(), [], before), 'ADDON_UNSUPPORTED', /sunos-.*linux-x64-gnu/)
})

/** The addon as installed by its package. */
function packaged(project: string): string {
  const into = join(project, 'node_modules', `ratethrottle-${PLATFORM}`)
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'package.json'), JSON.stringify({ version: '0.1.0', main: ADDON }))
  return join(into, ADDON)
}
