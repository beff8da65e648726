import { BATCH } from './batch.mjs'
import { FIRST_ID, idsFrom, shuffle } from './keys.mjs'
import { admitLimit, DENY, idleLimit } from './limits.mjs'
import { drawMix, MIX_KEYS, mixLimit } from './mix.mjs'

const SIZES = { one: 1, hot: 1, pair: 2, '10k': 10_000, '1m': 1_000_000 }

/** Keys that owe nothing when they are asked: what an ordinary caller is between two requests. */
const IDLE = ['one-stored', 'pair-stored', '10k-stored', '10k-fresh', '1m-stored']

/** Keys that owe a lot, or are used up. `hot` is one key: its hash is remembered. `pair` is two in turn. */
const IN_DEBT = [
  ...['hot-stored', 'hot-fresh', 'pair-stored'],
  ...['10k-stored', '10k-fresh', '1m-stored', '1m-fresh'],
]

/** The cases of suite `local` by name: how many keys, in what order, how the loop gets them, and the answers. */
export const CASES = Object.fromEntries([
  ...IDLE.map((which) => [`idle-${which}`, toCase(which, 'admit', idleLimit)]),
  ['mixed-stored', toMix('stored')],
  ['mixed-fresh', toMix('fresh')],
  ...IN_DEBT.flatMap((which) => [
    [`${which}-admit`, toCase(which, 'admit', admitLimit)],
    [`${which}-deny`, toCase(which, 'deny', () => DENY)],
  ]),
])

function toCase(which, outcome, limitFor) {
  const [size, form] = which.split('-')
  const keys = SIZES[size]
  return { keys, form, outcome, limit: limitFor(keys), order: keys <= 2 ? inTurn : inDisorder }
}

/** Its limit is only the first that is tried: each subject gets one that fits its speed. */
function toMix(form) {
  return { keys: MIX_KEYS, form, outcome: 'mixed', limit: mixLimit(10_000), order: drawMix }
}

/** A batch of one id, or of two in turn, so that every case runs the same loop. */
function inTurn(keys) {
  return new Int32Array(BATCH).map((_, index) => FIRST_ID + (index % keys))
}

function inDisorder(keys) {
  return shuffle(idsFrom(FIRST_ID, keys))
}
