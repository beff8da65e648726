import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { anchorsOf, linksOf, PAGES, pageAt } from './pages.ts'

interface Link {
  readonly page: string
  readonly target: string
  /** The file it leads to, from the root. */
  readonly path: string
  readonly anchor: string
}

const links: readonly Link[] = PAGES.flatMap((page) =>
  linksOf(page)
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#')
      const to = path === '' ? page.path : join(dirname(page.path), decodeURI(path))
      return { page: page.path, target, path: to, anchor }
    }),
)
const named = (found: readonly Link[]) => found.map(({ page, target }) => `${page}: ${target}`)

test('every relative link leads to a file of the repository', () => {
  expect(links.length).toBeGreaterThan(20)
  expect(named(links.filter(({ path }) => !existsSync(join(ROOT, path))))).toEqual([])
})

test('every path that ARCHITECTURE.md and CONTRIBUTING.md name is there', () => {
  const texts = ['ARCHITECTURE.md', 'CONTRIBUTING.md'].map((file) =>
    readFileSync(join(ROOT, file), 'utf8'),
  )
  const paths = texts.flatMap((text) =>
    text.match(/(?:ts|crate|docs|examples|scripts|__test__)\/[\w./-]*\w\/?/g),
  )
  expect(paths.length).toBeGreaterThan(40)
  expect(paths.filter((path) => path === null || !existsSync(join(ROOT, path)))).toEqual([])
})

test('a link to a folder names the page in it', () => {
  const isFile = (path: string) => /\.\w+$|^LICENSE$|\/LICENSE$/.test(path)
  expect(named(links.filter(({ path }) => !isFile(path)))).toEqual([])
})

test('every anchor is a heading of the page that it leads to', () => {
  const wrong = links.filter(({ path, anchor }) => {
    if (anchor === '' || !path.endsWith('.md')) return false
    return !anchorsOf(pageAt(path)).includes(anchor)
  })
  expect(named(wrong)).toEqual([])
})

test('docs/README.md leads to every page of docs', () => {
  const linked = links.filter(({ page }) => page === 'docs/README.md').map(({ path }) => path)
  const pages = PAGES.map(({ path }) => path).filter((path) => path.startsWith('docs/'))
  expect(pages.filter((path) => path !== 'docs/README.md' && !linked.includes(path))).toEqual([])
})

test('in the packed tarball every link of its pages leads to a file in it', () => {
  const packed = packedFiles()
  const inside = PAGES.filter(({ path }) => packed.has(path)).map(({ path }) => path)
  expect(inside).toEqual(expect.arrayContaining(['README.md', 'docs/README.md']))
  const pages = PAGES.map(({ path }) => path).filter((path) => path.startsWith('docs/'))
  expect(pages.filter((path) => !packed.has(path))).toEqual([])
  const wrong = links.filter(({ page, path }) => packed.has(page) && !packed.has(path))
  expect(named(wrong)).toEqual([])
})

test('the tarball has no tools and no built pages of the site', () => {
  const odd = [...packedFiles()].filter((path) => /^site\/|^docs\/(?!.*\.(md|svg)$)/.test(path))
  expect(odd).toEqual([])
  expect([...packedFiles()].filter((path) => path.startsWith('docs/reference/api/'))).toEqual([])
})

let packedOnce: ReadonlySet<string> | undefined

/** What the tarball would hold. */
function packedFiles(): ReadonlySet<string> {
  packedOnce ??= new Set(pack())
  return packedOnce
}

function pack(): readonly string[] {
  const command = 'npm pack --dry-run --json --ignore-scripts'
  const [tarball] = JSON.parse(execFileSync(command, { cwd: ROOT, shell: true, encoding: 'utf8' }))
  return tarball.files.map((file: { path: string }) => file.path)
}
