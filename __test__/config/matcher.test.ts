import { expect, test } from 'vitest'
import { Matcher } from '../../ts/config/matcher.ts'
import { readRoutes, type Target } from '../../ts/config/routes.ts'
import { Problems, treeOf } from '../../ts/config/tree.ts'
import { byLength } from '../fixtures/long.ts'
import { randomFor } from '../fixtures/random.ts'

function matcher(routes: Record<string, Target>): Matcher {
  const problems = new Problems('x.json', '')
  const names = [...new Set(Object.values(routes).filter((one) => one !== false))]
  const read = readRoutes(treeOf(routes), names, problems)
  expect(problems.found).toEqual([])
  const rest = routes['*'] ?? false
  return new Matcher(
    read.filter(({ text }) => text !== '*'),
    rest,
  )
}

const TABLE = matcher({
  '/': 'root',
  '/search': 'search',
  'GET /search': 'get search',
  '/users/:id': 'user',
  'POST /users/:id': 'post user',
  '/users/me': 'me',
  '/users/:id/files/*': 'files',
  '/users/:id/files/a': 'file a',
  '/static/*': false,
  '/health': false,
  'GET /a/:b/c': 'abc',
  '/a/b/:c': 'abx',
  '/über': 'umlaut',
  '*': 'rest',
})

test.each([
  ['GET', '/', ['root']],
  ['GET', '', ['root']],
  ['GET', '//', ['root']],
  ['GET', '/search', ['get search']],
  ['HEAD', '/search', ['get search']],
  ['POST', '/search', ['search']],
  ['POST', '/SEARCH/?a=/b', ['search']],
  ['POST', '/s%65arch', ['search']],
  ['POST', '/s%6', ['rest']],
  ['POST', '/searc', ['rest']],
  ['POST', '/search/x', ['rest']],
  ['POST', '/search%2f', ['rest', 'search']],
  ['POST', 'http://host/search', ['search']],
  ['POST', 'HTTP://host:80/search?x', ['search']],
  ['OPTIONS', '*', ['rest']],
  ['GET', '/users/5', ['user']],
  ['GET', '/users/', ['rest']],
  ['POST', '/users/5', ['post user']],
  ['POST', '/users/me', ['me']],
  ['GET', '/users/5/files', ['files']],
  ['GET', '/users/5/files/b/c/d', ['files']],
  ['GET', '/users/5/files/a', ['file a']],
  ['GET', '/users/me/files/a', ['file a']],
  ['GET', '/a/b/c', ['abx']],
  ['GET', '/a/x/c', ['abc']],
  ['POST', '/a/b/c', ['abx']],
  ['GET', '/%C3%BCber', ['umlaut']],
  ['GET', '/static/a.css', [false]],
  ['GET', '/static', [false]],
  ['GET', '/STATIC/a.css', ['rest']],
  ['GET', '/static/../users/me', [false, 'me']],
  ['GET', '/static/%2e%2E/users/me', [false, 'me']],
  ['GET', '/static/..%2fusers/me', [false, 'me']],
  ['GET', '/static\\..\\users\\me', ['rest', 'me']],
  ['GET', '/health', [false]],
  ['HEAD', '/health?x', [false]],
  ['GET', '/health/', ['rest']],
  ['GET', '/Health', ['rest']],
  ['GET', '//health', ['rest']],
  ['GET', '/healt%68', ['rest']],
  ['GET', '/./health', ['rest']],
  ['GET', '/x/../../../search', ['rest', 'get search']],
] as const)('%s %s', (method, target, found) => {
  expect(TABLE.of(method, target)).toEqual(found)
})

/** The slow way: every route is compared, and the best is taken. */
function best(
  routes: readonly string[],
  method: string,
  segments: readonly string[],
): string | undefined {
  const ranked = routes.flatMap((text) => {
    const [path = '', wanted] = text.split(' ').reverse()
    const parts = path.slice(1).split('/')
    const isOpen = parts.at(-1) === '*'
    if (isOpen) parts.pop()
    const fits =
      (wanted === undefined || wanted === method) &&
      (isOpen ? segments.length >= parts.length : segments.length === parts.length) &&
      parts.every((part, i) => part.startsWith(':') || part === segments[i])
    // By segment: exact 0, parameter 1, open end 2; then with a method first.
    const rank = [...parts.map((part) => (part.startsWith(':') ? 1 : 0)), ...(isOpen ? [2] : [])]
    return fits ? [{ text, rank: `${rank.join('')} ${wanted === undefined ? 1 : 0}` }] : []
  })
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1))[0]?.text
}

test('finds what a slow search finds', () => {
  const random = randomFor('config matcher')
  for (let i = 0; i < byLength(100, 20_000); i++) {
    const routes: Record<string, Target> = { '*': 'rest' }
    for (let j = random.integer(1, 12); j > 0; j--) {
      const parts = Array.from({ length: random.integer(1, 4) }, () =>
        random.pick(['a', 'b', ':p']),
      )
      if (random.chance(0.2)) parts.push('*')
      const path = `${random.pick(['', '', 'GET ', 'POST '])}/${parts.join('/')}`
      routes[path] = path
    }
    const table = matcher(routes)
    const texts = Object.keys(routes).filter((text) => text !== '*')
    for (let j = 0; j < 20; j++) {
      const method = random.pick(['GET', 'POST', 'PUT'])
      const segments = Array.from({ length: random.integer(1, 5) }, () =>
        random.pick(['a', 'b', 'c']),
      )
      const expected = best(texts, method, segments) ?? 'rest'
      expect(
        table.of(method, `/${segments.join('/')}`),
        `${method} ${segments} in ${texts}`,
      ).toEqual([expected])
    }
  }
})

test('the longest paths of clients, and the deepest tables, take steps that are bounded', () => {
  // Two ways at each of 32 segments, which would be 4 billion ways.
  const routes: Record<string, Target> = { '*': 'rest' }
  for (let i = 0; i < 32; i++) {
    const parts = Array.from({ length: 32 }, (_, at) => (at === i ? ':p' : 'a'))
    routes[`/${parts.join('/')}`] = `r${i}`
  }
  const table = matcher(routes)
  const hostile = [
    '/a'.repeat(8_000),
    '/'.repeat(16_000),
    `/${'a'.repeat(16_000)}`,
    '/..'.repeat(5_000),
    '/%61'.repeat(4_000),
    '/%'.repeat(8_000),
  ]
  for (const path of hostile) {
    for (let i = 0; i < 100; i++) expect(table.of('GET', path).length).toBeGreaterThan(0)
  }
  expect(table.of('GET', `${'/a'.repeat(31)}/b`)).toEqual(['r31'])
})
