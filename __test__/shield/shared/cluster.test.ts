import { fork } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { join } from 'node:path'
import { shield } from 'ratethrottle/shield'
import { expect, it } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'
import { freshName } from '../../shared/place.ts'

interface Workers {
  readonly port: number
  readonly pids: readonly number[]
}

interface Answer {
  readonly status: number
  readonly retryAfter: number
  readonly body: string
}

/** One request on a connection of its own, from another address of this machine. */
function ask(port: number, path: string, localAddress: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get({ port, path, localAddress, agent: false }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => {
        const retryAfter = Number(response.headers['retry-after'] ?? 0)
        resolve({ status: response.statusCode ?? 0, retryAfter, body })
      })
    })
    request.on('error', reject)
  })
}

const SCANNER = '127.0.0.9'
const NEIGHBOUR = '127.0.0.10'

it('a scan that workers of a cluster see in parts is blocked by all of them, the replaced ones too', async () => {
  const name = freshName()
  const file = join(ROOT, '__test__/shield/shared/cluster.mjs')
  const child = fork(file, [name], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const ready = async (): Promise<Workers> => {
    const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data')
    return JSON.parse(String(line))
  }
  const { port, pids } = await ready()
  const guard = shield({ mode: 'enforce', shared: true, name })
  try {
    const served = new Set<string>()
    for (let n = 0; guard.isBlocked(SCANNER) === 0 && n < 200; n++) {
      served.add((await ask(port, `/missing/${n}`, SCANNER)).body)
    }
    // No worker saw it all.
    expect(served.size).toBeGreaterThan(1)
    const refusals = await Promise.all(Array.from({ length: 12 }, () => ask(port, '/', SCANNER)))
    expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([429]))
    for (const { retryAfter } of refusals) expect(retryAfter).toBeGreaterThan(500)
    expect((await ask(port, '/', NEIGHBOUR)).status).toBe(200)
    const replaced = ready()
    process.kill(pids[0] as number, 'SIGKILL')
    expect((await replaced).pids).not.toContain(pids[0])
    for (let n = 0; n < 12; n++) expect((await ask(port, '/', SCANNER)).status).toBe(429)
    expect(guard.pardon(SCANNER)).toBe(true)
    const again = await Promise.all(Array.from({ length: 12 }, () => ask(port, '/', SCANNER)))
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([200]))
  } finally {
    guard.close()
    child.kill()
    await once(child, 'exit')
  }
})
