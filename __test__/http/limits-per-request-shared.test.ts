import { expect, test } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { freshName } from '../shared/place.ts'

interface Seen {
  readonly served: number
  readonly status: number
  readonly retryAfter: number
}

const HOUR = 3600

async function say<T>(what: object): Promise<T> {
  const { code, out, err } = await run('http/limits-per-request.mjs', [JSON.stringify(what)])
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
  return JSON.parse(out)
}

test.runIf(process.platform === 'linux')(
  'processes that share a bucket see what other processes used under other limits',
  async () => {
    const options = { storage: `shared:${freshName()}`, name: 'plans' }
    const [ten] = await say<Seen[]>({ options, asks: [['10/hour', 5]] })
    expect(ten).toMatchObject({ served: 5 })
    const [one, again] = await say<Seen[]>({
      options,
      asks: [
        ['1/hour', 1],
        ['10/hour', 7],
      ],
    })
    // Half of ten an hour is half an hour.
    expect(one).toMatchObject({ served: 0, status: 429 })
    expect(one?.retryAfter).toBeGreaterThan(HOUR / 2 - 120)
    expect(one?.retryAfter).toBeLessThanOrEqual(HOUR / 2)
    expect(again).toMatchObject({ served: 5, status: 429 })
  },
)

test.runIf(process.platform === 'linux').each(['sliding-window', 'sliding-log', 'fixed-window'])(
  'processes that share a %s count units that other processes used under other limits',
  async (algorithm) => {
    const options = { storage: `shared:${freshName()}`, name: 'plans', algorithm }
    const served = async (asks: unknown[]): Promise<number[]> =>
      (await say<Seen[]>({ options, asks })).map((seen) => seen.served)
    const first = [
      ['10/day', 5],
      [['4/minute', '7/day'], 3],
    ]
    expect(await served(first)).toEqual([5, 2])
    const then = [
      ['5/day', 1],
      ['8/day', 9],
      ['12/day', 12],
    ]
    expect(await served(then)).toEqual([0, 1, 4])
  },
)

test.each(['token-bucket', 'fixed-window'])(
  'threads that use one named %s count together, with different limits',
  async (algorithm) => {
    const what = {
      options: { name: 'plans', algorithm },
      asks: [['10/day', 5]],
      worker: [
        ['1/day', 1],
        ['10/day', 9],
      ],
    }
    const served = (await say<Seen[]>(what)).map((seen) => seen.served)
    expect(served).toEqual([5, 0, 5])
  },
)

interface Grown {
  readonly wrong: number
  readonly first: unknown
  readonly grownMb: number
}

/** What docs/guides/plans-and-tenants.md says of the memory that ten thousand tenants take, and room for those of other machines. */
const MOST_MB = 120
/** As many as the page says, and what is enough to see a wrong limit. */
const [MANY, SOME] = [byLength(4_000, 10_000), byLength(500, 10_000)]

test.each([
  [MANY, 'token-bucket', 10_000, 10_000],
  [SOME, 'fixed-window', 10_000, 1],
  [SOME, 'sliding-window', 10_000, 1],
  [SOME, 'sliding-log', 300, 1],
] as const)(
  '%i tenants of a %s with %i counts in %i windows are each limited to their own, in bounded memory',
  async (tenants, algorithm, counts, windows) => {
    const what = { options: { algorithm }, tenants, counts, windows }
    const seen = await say<Grown>(what)
    expect(seen).toMatchObject({ wrong: 0 })
    expect(seen.grownMb).toBeLessThan(MOST_MB * (tenants === 10_000 ? 1 : 0.5))
  },
  180_000,
)
