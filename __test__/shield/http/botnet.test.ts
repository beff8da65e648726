import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { byLength } from '../../fixtures/long.ts'

const run = promisify(execFile)

/** A small version of `npm run range:live`: fewer bots, and clients that are regulars after three seconds. */
const FLAGS = {
  bots: 400,
  each: 1,
  regulars: 20,
  warm: byLength(4, 5),
  attack: byLength(4, 6),
  // A tenth of what comes: a machine with other work sends less.
  capacity: 40,
  after: 3,
}

interface Row {
  readonly shield: boolean
  readonly 'regulars served %': number
  readonly 'bots sent': number
}

it.each(byLength(['fastify'], ['fastify', 'express']))(
  'a botnet on real sockets loses to regulars: %s',
  async (framework) => {
    const flags = Object.entries({ ...FLAGS, framework }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ])
    const { stdout } = await run(process.execPath, [
      'bench/shield/live/index.mjs',
      '--json',
      ...flags,
    ])
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Row)
    const [without, shielded] = rows.map((row) => row['regulars served %']) as [number, number]
    for (const row of rows) expect(row['bots sent']).toBeGreaterThan(500)
    expect(without).toBeLessThan(60)
    expect(shielded).toBeGreaterThan(90)
  },
)
