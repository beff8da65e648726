import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)

/** A small version of `npm run range:auto`: a day of ten seconds, and clients that are regulars after three. */
const FLAGS = {
  day: 10,
  compression: 12,
  most: 0.5,
  attack: 10,
  bots: 500,
  regulars: 20,
  after: 3,
  calm: 1,
}

interface Row {
  readonly 'day sent': number
  readonly 'day refused': number
  readonly 'regulars served %': number
  readonly 'bots sent': number
  readonly 'bots served %': number
}

it.each(['fastify', 'express'])(
  'maxRate auto refuses no one who is no harm, and lets a botnet lose to regulars: %s',
  async (framework) => {
    const flags = Object.entries({ ...FLAGS, framework }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ])
    const script = ['bench/shield/live/auto.mjs', '--json', '--only-shield']
    const { stdout } = await run(process.execPath, [...script, ...flags])
    const row = JSON.parse(stdout) as Row
    expect(row['day sent']).toBeGreaterThan(50)
    expect(row['day refused']).toBe(0)
    expect(row['regulars served %']).toBeGreaterThan(90)
    expect(row['bots sent']).toBeGreaterThan(1_000)
    expect(row['bots served %']).toBeLessThan(75)
  },
)
