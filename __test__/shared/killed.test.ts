import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { RateLimiter } from 'ratethrottle'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { freshName } from './place.ts'

const PROGRAM = `
  const { RateLimiter } = require('ratethrottle')
  const [name, limits] = process.argv.slice(1)
  const limiter = new RateLimiter(JSON.parse(limits), { name, shared: true, algorithm: 'fixed-window' })
  process.stdout.write('ready')
  for (let i = 0; ; i++) limiter.check('key ' + (i % 50))
`

/** Kills a process that charges three limits all the time, and returns what is left of one of its keys. */
async function kill(name: string, limits: readonly string[]) {
  const words = ['-e', PROGRAM, '--', name, JSON.stringify(limits)]
  const child = spawn(process.execPath, words, { cwd: ROOT })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe.runIf(process.platform === 'linux')('a process that is killed', () => {
  test('counters of three limits differ by at most the cost of the calls that were cut off', async () => {
    const limits = ['1000000/10 hours', '1000000/11 hours', '1000000/12 hours']
    const name = freshName()
    const kills = 10
    for (let run = 0; run < kills; run++) await kill(name, limits)
    const limiter = new RateLimiter(limits, { name, shared: true, algorithm: 'fixed-window' })
    for (let key = 0; key < 50; key++) {
      const left = limiter.standings(`key ${key}`).map(({ remaining }) => remaining)
      expect(Math.max(...left) - Math.min(...left)).toBeLessThanOrEqual(kills + 2)
    }
    limiter.close()
  })
})
