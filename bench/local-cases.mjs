import { admitLimit, DENY, idleLimit } from './limits.mjs'

const SIZES = { one: 1, hot: 1, pair: 2, '10k': 10_000, '1m': 1_000_000 }

/** Keys that owe nothing when they are asked: what an ordinary caller is between two requests. */
const IDLE = ['one-stored', 'pair-stored', '10k-stored', '10k-fresh', '1m-stored']

/** Keys that owe a lot, or are used up. `hot` is one key: its hash is remembered. `pair` is two in turn. */
const IN_DEBT = [
  ...['hot-stored', 'hot-fresh', 'pair-stored'],
  ...['10k-stored', '10k-fresh', '1m-stored', '1m-fresh'],
]

/** The cases of suite `local` by name: how many keys, how the loop gets them, and what is answered. */
export const CASES = Object.fromEntries([
  ...IDLE.map((which) => [`idle-${which}`, toCase(which, 'admit', idleLimit)]),
  ...IN_DEBT.flatMap((which) => [
    [`${which}-admit`, toCase(which, 'admit', admitLimit)],
    [`${which}-deny`, toCase(which, 'deny', () => DENY)],
  ]),
])

function toCase(which, outcome, limitFor) {
  const [size, form] = which.split('-')
  const keys = SIZES[size]
  return { keys, form, outcome, limit: limitFor(keys) }
}
