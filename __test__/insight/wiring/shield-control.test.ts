import { insight } from 'ratethrottle/insight'
import { shield } from 'ratethrottle/shield'
import { expect, onTestFinished, test } from 'vitest'

const ADDRESS = '203.0.113.9'

function shielded(keys: 'hash' | 'mask' | 'plain') {
  const view = insight({ keys })
  const guard = shield({ mode: 'enforce' })
  view.shielded('all', guard)
  onTestFinished(() => {
    view.close()
    guard.close()
  })
  const sources = () => view.report().shields[0]?.top.filter(({ blockedMs }) => blockedMs > 0) ?? []
  return { view, guard, sources }
}

test('what is no address is not blocked, and no operator reads that it is', () => {
  const { view, sources } = shielded('plain')
  for (const text of ['203.0.113', 'user:42', '', ' ', '203.0.113.0/24', 'localhost', 42]) {
    expect(() => view.blockSource(text as string, 60_000), `${text}`).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(view.pardon(text as string), `${text}`).toBe(false)
  }
  expect(sources()).toEqual([])
  for (const text of [ADDRESS, '::ffff:203.0.113.9', '2001:DB8::1', '2001:db8:0:1::/64']) {
    expect(view.blockSource(text, 60_000), text).toBe(true)
  }
  const blocked = sources().map(({ source }) => source)
  expect(blocked.sort()).toEqual(['2001:db8:0:1::/64', '2001:db8::/64', ADDRESS])
})

test.each(['hash', 'mask', 'plain'] as const)(
  '%s: a block ends by the name that the report shows',
  (keys) => {
    const { view, guard, sources } = shielded(keys)
    guard.block('@unix', 60_000)
    view.blockSource(ADDRESS, 60_000)
    const names = sources().map(({ source }) => source)
    expect(names).toContain('no address')
    expect(names).toHaveLength(2)
    expect(names.includes(ADDRESS)).toBe(keys === 'plain')
    const shown = names.filter((name) => name !== 'no address')
    expect(shown.map((name) => view.pardon(name))).toEqual([true])
    expect(sources().map(({ source }) => source)).toEqual(['no address'])
  },
)
