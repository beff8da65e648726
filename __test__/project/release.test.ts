import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

const read = (path: string) => {
  const file = join(ROOT, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
const manifest = JSON.parse(read('package.json'))
const release = read('.github/workflows/release.yml')

/** The workflow's jobs: a name at two spaces, and all that is indented under it. */
function jobsOf(workflow: string): Map<string, string> {
  const [, jobs = ''] = workflow.split(/^jobs:$/m)
  const parts = jobs.split(/^ {2}([\w-]+):$/m).slice(1)
  const pairs = parts.flatMap((name, index) =>
    index % 2 === 0 ? [[name, parts[index + 1] ?? ''] as const] : [],
  )
  return new Map(pairs)
}

test('only the publishing job may sign, and each job declares its permissions', () => {
  const [before = ''] = release.split(/^jobs:$/m)
  expect(before).not.toMatch(/id-token/)
  const jobs = jobsOf(release)
  const signing = [...jobs].filter(([, text]) => /id-token: write/.test(text)).map(([name]) => name)
  expect(signing).toEqual(['publish'])
  for (const [name, text] of jobs) expect(text, name).toMatch(/^ {4}permissions:/m)
})

test.each(['ci.yml', 'release.yml'])('%s pins actions by hash, and tools by version', (name) => {
  const text = read(`.github/workflows/${name}`)
  const used = [...text.matchAll(/uses: (\S+)/g)].map(([, action = '']) => action)
  expect(used.length).toBeGreaterThan(0)
  const floating = used.filter((action) => !/^\.\/|@[0-9a-f]{40}$/.test(action))
  expect(floating).toEqual([])
  expect(text).not.toMatch(/-latest/)
  expect(text).toMatch(/rustup toolchain install \d+\.\d+\.\d+/)
  for (const [, tool] of text.matchAll(/(?:pipx install|cargo install --locked) (\S+)/g)) {
    expect(tool).toMatch(/(?:==|@)\d+\.\d+\.\d+$/)
  }
})

test('each target is built, and tested on its platform', () => {
  const jobs = jobsOf(release)
  const tests = `${jobs.get('test')}${jobs.get('test-musl') ?? ''}`
  for (const target of manifest.napi.targets) {
    expect(jobs.get('build')).toMatch(new RegExp(`target: ${target}\\b`))
    expect(tests).toMatch(new RegExp(`name: ${target}\\b`))
  }
  expect(tests).toMatch(/test:addon/)
})

test('every push and pull request runs all checks on several versions of Node', () => {
  const ci = read('.github/workflows/ci.yml')
  expect(ci).toMatch(/^ {2}push:/m)
  expect(ci).toMatch(/^ {2}pull_request:/m)
  expect(ci).toMatch(/run: \.ci\/run/)
  const [, nodes = ''] = /node: \[(.+)\]/.exec(ci) ?? []
  expect(nodes.split(',').length).toBeGreaterThanOrEqual(3)
})

test.each([
  [
    { GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'a/b.c' },
    '',
    'https://github.com/a/b.c',
  ],
  [{}, 'git@github.com:owner/name.git\n', 'https://github.com/owner/name'],
  [{}, 'ssh://git@git.example.org/owner/name', 'https://git.example.org/owner/name'],
  [{}, 'https://user:secret@example.org/owner/name.git', 'https://example.org/owner/name'],
  [{}, '/srv/main', undefined],
  [{}, '../main', undefined],
  [{}, '', undefined],
  [{ GITHUB_SERVER_URL: 'http://example.org', GITHUB_REPOSITORY: 'a/b' }, '', undefined],
  [{ GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'a/b/../c' }, '', undefined],
])('the release uses the address of its repository: %j %s', async (env, remote, expected) => {
  const path = join(ROOT, 'scripts/release/address.mjs')
  expect(existsSync(path)).toBe(true)
  const { addressOf } = await import(path)
  let found: string | undefined
  try {
    found = addressOf(env, remote)
  } catch {
    found = undefined
  }
  expect(found).toBe(expected)
})

test('a dry run of the release makes packages that can be installed, and does not change package.json', () => {
  const out = mkdtempSync(join(tmpdir(), 'ratethrottle-tarballs-'))
  const before = read('package.json')
  const words = ['scripts/release/dry.mjs', '--built', '--out', out]
  const {
    status: code,
    stderr,
    stdout,
  } = spawnSync(process.execPath, words, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 230_000,
  })
  expect(code, stderr).toBe(0)
  const tarballs = readdirSync(out).sort()
  expect(tarballs).toContain(`ratethrottle-${manifest.version}.tgz`)
  expect(tarballs).toHaveLength(2)
  expect(stdout.trim().split('\n').at(-1)).toContain(`ratethrottle-${manifest.version}.tgz`)
  expect(read('package.json')).toBe(before)
  const tar = ['-xzOf', join(out, `ratethrottle-${manifest.version}.tgz`), 'package/package.json']
  const packed = JSON.parse(spawnSync('tar', tar, { encoding: 'utf8' }).stdout)
  for (const field of ['repository', 'homepage', 'bugs', 'keywords']) {
    expect(packed).toHaveProperty(field)
  }
  expect(Object.keys(packed.optionalDependencies)).toHaveLength(manifest.napi.targets.length)
  rmSync(out, { recursive: true, force: true })
})
