import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'

test('examples/web.mjs: both limits are charged or none, and headers tell of the tighter', async () => {
  const child = spawn(process.execPath, ['examples/web.mjs'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const base = `http://127.0.0.1:${/(\d+)/.exec(String(line))?.[1]}`
    const seen: unknown[] = []
    for (const path of ['/search?q=1', '/search?q=2', '/search?q=3', '/', '/']) {
      const { status, headers } = await fetch(base + path)
      seen.push([status, headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')])
    }
    expect(seen).toEqual([
      [200, '2', '1'],
      [200, '2', '0'],
      [429, '2', '0'],
      [200, '3', '0'],
      [429, '3', '0'],
    ])
  } finally {
    child.kill()
    await once(child, 'exit')
  }
})
