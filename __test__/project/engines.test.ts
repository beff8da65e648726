import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

type Version = readonly [number, number, number]

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const compare = (a: Version, b: Version) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]

function versionOf(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number)
  return [major, minor, patch]
}

/** What lock files hold: `^20.17.0 || >=22.9.0`, `>= 20`, `18 || 20`, `6.*`, `*`. */
function satisfies(version: Version, range: string): boolean {
  return range.split('||').some((part) => {
    const match = /^(\^|>=|~)?\s*v?(\d+(?:\.\d+){0,2})(?:\.[x*])*$/.exec(part.trim())
    if (match === null) return part.trim() === '*'
    const [, operator, text = ''] = match
    const least = versionOf(text)
    if (compare(version, least) < 0) return false
    if (operator === '>=') return true
    const isAnyMinor = operator === '^' || !text.includes('.')
    return version[0] === least[0] && (isAnyMinor || version[1] === least[1])
  })
}

/** The oldest of each line that README names for a checkout, and the lines after it. */
function named(): string[] {
  const [, list = ''] =
    /Node ((?:\d+\.\d+, )*\d+\.\d+) or newer/.exec(read('README.md').replaceAll(/\s+/g, ' ')) ?? []
  return [...list.split(', '), '24.0', '26.0']
}

test('npm ci prints no warning on the versions of Node that README names', () => {
  const versions = named()
  expect(versions.length).toBeGreaterThan(3)
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { engines?: { node?: string } }>
  }
  const unfit = Object.entries(packages).flatMap(([path, { engines }]) => {
    const range = engines?.node
    if (range === undefined) return []
    return versions.flatMap((text) =>
      satisfies(versionOf(text), range) ? [] : `${path} wants ${range}, not ${text}`,
    )
  })
  expect(unfit).toEqual([])
})

test('npm ci does not ask whether the scripts of packages may run: package.json says so', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { hasInstallScript?: true }>
  }
  const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: object }
  const withScript = Object.keys(packages).filter((path) => packages[path]?.hasInstallScript)
  const names = withScript
    .filter((path) => path !== '')
    .map((path) => path.split('node_modules/').at(-1))
  expect(Object.keys(allowScripts).sort()).toEqual([...new Set(names)].sort())
})

test('README names the versions of Node that "engines" has', () => {
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } }
  const said = /Node ([\d.]+) and later of \d+, or ([\d.]+) and later/.exec(
    read('README.md').replaceAll(/\s+/g, ' '),
  )
  expect(`^${said?.[1]}.0 || >=${said?.[2]}.0`).toBe(engines.node)
})
