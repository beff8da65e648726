import { type AlgorithmText, RECORDS } from './prelude.ts'
import { VARIABLE_LOAD_AND_SAVE } from './variable-prelude.ts'

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
  fastPath: `
  local per_ms, token, depth = first, second, third
  local part = math.floor(us * per_ms / 1000)
  local owed, usual = 0, not text
  if text and #text == 17 and text:byte() == 71 then
    local blocked, x, y = struct.unpack('>I7I6I3', text, 2)
    owed = math.max(0, (x - ms) * per_ms + y - part)
    usual = blocked <= now and owed <= depth
  end
  local after = owed + cost * token
  if usual and after <= depth then
    local over = part + after
    local y = over % per_ms
    local rest = math.ceil(after / per_ms)
    redis.call('SET', key, struct.pack('>c1I7I6I3', 'G', 0, ms + (over - y) / per_ms, y),
      'PX', shown and rest + 3600000 or rest)
    local spare = (depth - after) % token
    local more = token > after + spare and -1 or math.ceil((token - spare) / per_ms)
    local left = (depth - after - spare) / token
    if till > 0 then return { 1, left, 0, rest, more } end
    return { 1, left, 0, rest, more, now }
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
