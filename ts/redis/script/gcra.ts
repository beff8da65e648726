import { type AlgorithmText, RECORDS } from './prelude.ts'
import { VARIABLE_LOAD_AND_SAVE } from './variable-prelude.ts'

/** The letter G and no block, as the first eight bytes of a state. */
const G = `${BigInt(71 * 2 ** 56)}`

/*
 * As `crate/core/src/algorithm/gcra.rs`: a = ticks per millisecond, b = ticks per token, c = the bucket's
 * depth. x and y are the instant at which the bucket is full again, as milliseconds and ticks: together they
 * would not fit a double.
 *
 * A bucket cannot owe more than its depth. One that does was written before the server's clock was set back.
 * It is then taken to owe its depth and is rewritten, so that a step of an hour does not lock a key for an hour.
 */
export const GCRA: AlgorithmText = {
  isBucket: true,
  /*
   * The letter and the block are read as one number, which is rounded to a multiple of 1024. The reply is what the
   * bucket owes after the charge: `gcraAdmission` has the numbers that follow from it.
   */
  fastPath: `
  local per_ms, token, depth = first, second, third
  local part = us * per_ms / 1000
  part = part - part % 1
  local owed, usual = 0, not text
  if text and #text == 17 then
    local head, x, y = struct.unpack('>I8I6I3', text)
    local blocked = head - ${G}
    owed = (x - ms) * per_ms + y - part
    if owed < 0 then owed = 0 end
    usual = owed <= depth and blocked >= 0 and blocked + 1024 <= now
  end
  local after = owed + cost * token
  if usual and after <= depth then
    local over = part + after
    local y = over % per_ms
    local rest = after / per_ms
    local some = rest % 1
    if some > 0 then rest = rest - some + 1 end
    if shown then rest = rest + 3600000 end
    call('SET', key, struct.pack('>I8I6I3', ${G}, ms + (over - y) / per_ms, y), 'PX', rest)
    if till > 0 then return after end
    return { after, now }
  end
`,
  fixed: `
local LETTER, SIZE, FORMAT = 'G', 9, '>I6I3'
${RECORDS}
local owes = {}
local function owing(i)
  if owes[i] then return owes[i] end
  local owed = 0
  if x[i] then owed = (x[i] - ms) * a[i] + y[i] - math.floor(us * a[i] / 1000) end
  if owed > c[i] then owed, healed = c[i], true end
  owes[i] = math.max(0, owed)
  return owes[i]
end
local function set(i, owed)
  owes[i] = owed
  local over = math.floor(us * a[i] / 1000) + owed
  y[i] = over % a[i]
  x[i] = ms + (over - y[i]) / a[i]
  if owed == 0 then x[i], y[i] = 0, 0 end
end
local function again(i, units)
  if units * b[i] > c[i] then return huge end
  return ceil(math.max(0, units * b[i] - (c[i] - owing(i))), a[i])
end
local function read(i, units)
  local owed = owing(i)
  if healed then set(i, owed) end
  return math.floor((c[i] - owed) / b[i]), again(i, units), ceil(owed, a[i])
end
local function charge(units)
  for i = 1, limits do set(i, owing(i) + units * b[i]) end
end
local function give(units)
  for i = 1, limits do set(i, math.max(0, owing(i) - units * b[i])) end
end
`,
  /*
   * a = ticks per millisecond, b = ticks per token, c = the bucket's depth. x = the instant at which the bucket is
   * full again, in ticks.
   */
  variable: `
local LETTER = 'g'
local MOST = 2 ^ 50
local at = ticks(2520)
owed = function(t) return math.min(math.max(0, t.x - at), MOST) end
add = function(t, more)
  local after = math.min(owed(t) + more, MOST)
  t.x = after > 0 and at + after or 0
end
take = function(t, less)
  local left = math.max(0, owed(t) - less)
  t.x = left > 0 and at + left or 0
end
rest_of = function(t) return ceil(owed(t), 2520) end
heal = function()
  local back = ticks_at(seen, 2520) - at
  for _, t in ipairs(records) do t.x = math.max(0, t.x - back) end
end
${VARIABLE_LOAD_AND_SAVE}
local function again(i, units)
  if units * b[i] > c[i] then return huge end
  return ceil(math.max(0, units * b[i] - (c[i] - owed(own[i]))), a[i])
end
local function read(i, units)
  local debt = owed(own[i])
  return math.max(0, math.floor((c[i] - debt) / b[i])), again(i, units), ceil(debt, a[i])
end
`,
}

/**
 * The numbers of an admission, as `remote/backend.ts` has them, from what the bucket owes after it.
 *
 * @param limit the three numbers that the script is called with
 * @throws RangeError if no bucket of this limit owes that after a charge
 */
export function gcraAdmission(owed: number, limit: readonly number[]): readonly number[] {
  const [perMs, token, depth] = limit as [number, number, number]
  if (!(owed > 0 && owed <= depth)) throw new RangeError(`${owed}`)
  const spare = (depth - owed) % token
  const left = (depth - owed - spare) / token
  const more = token > owed + spare ? -1 : Math.ceil((token - spare) / perMs)
  return [1, left, 0, Math.ceil(owed / perMs), more]
}
