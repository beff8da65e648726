import { type AlgorithmText, RECORDS } from './prelude.ts'
import { VARIABLE_LOAD_AND_SAVE } from './variable-prelude.ts'

/** Divides a product that a double cannot hold. */
const DIVIDE: string = `local function divide(n, by, m)
  local product = n * by
  if product < 9007199254740992 then
    local over = fmod(product, m)
    return (product - over) / m, over
  end
  local quotient, over, place = 0, 0, 2097152
  while place >= 1 do
    local digit = fmod((n - fmod(n, place)) / place, 8)
    local part = over * 8 + digit * by
    over = fmod(part, m)
    quotient, place = quotient * 8 + (part - over) / m, place / 8
  end
  return quotient, over
end
`

/*
 * As `crate/core/src/algorithm/sliding_window.rs`: a = count, b = window in milliseconds, c = ticks per
 * millisecond. x = index of the current bucket, y and z = units of the previous and of the current one.
 *
 * Products of a count and a window reach 2^62, so they are divided digit by digit, eight at a time.
 *
 * A bucket after the next one was written before the server's clock was set back, and is taken for the current
 * one.
 */
export const SLIDING_WINDOW: AlgorithmText = {
  fastPath: `
  local count, per_ms = first, third
  local window = second * per_ms
  local at = ms * per_ms + math.floor(us * per_ms / 1000)
  local past = at % window
  local index, rest = (at - past) / window, window - past
  local before, current, usual = 0, 0, not text
  if text and #text == 21 and text:byte() == 83 then
    local blocked, x
    blocked, x, before, current = struct.unpack('>I7I7I3I3', text, 2)
    local step = index - x
    usual = blocked <= now and step >= 0
    if step == 1 then before, current = current, 0 end
    if step > 1 then before, current = 0, 0 end
  end
  current = current + cost
  local small = window * count < 4503599627370496
  local left = count - current - math.ceil(before * rest / window)
  if usual and small and left >= 0 then
    local reset = math.ceil((rest + window) / per_ms)
    redis.call('SET', key, struct.pack('>c1I7I7I3I3', 'S', 0, index, before, current),
      'PX', shown and reset + 3600000 or reset)
    local others, more = count - left - 1, -1
    if others >= 0 and current <= others then
      more = math.ceil(math.max(0, rest - math.floor((others - current) * window / before)) / per_ms)
    elseif others >= 0 then
      more = math.ceil((rest + window - math.floor(others * window / current)) / per_ms)
    end
    if till > 0 then return { 1, left, 0, reset, more } end
    return { 1, left, 0, reset, more, now }
  end
`,
  fixed: `
local LETTER, SIZE, FORMAT = 'S', 13, '>I7I3I3'
${RECORDS}
${DIVIDE}local rests, rolled = {}, {}
local function roll(i)
  if rolled[i] then return end
  rolled[i] = true
  local at, window = ticks(c[i]), b[i] * c[i]
  local past = fmod(at, window)
  local index = (at - past) / window
  rests[i] = window - past
  local step = index - (x[i] or index - 2)
  if step == -1 then
    rests[i] = window
    return
  end
  if step < -1 then healed, rests[i] = true, window end
  if step == 1 then y[i], z[i] = z[i], 0 end
  if step > 1 then y[i], z[i] = 0, 0 end
  x[i] = index
end
local function again(i, units)
  local window, others = b[i] * c[i], a[i] - units
  if others < 0 then return huge end
  if z[i] <= others then
    if y[i] == 0 then return 0 end
    return ceil(math.max(0, rests[i] - divide(others - z[i], window, y[i])), c[i])
  end
  local decayed = divide(others, window, z[i])
  return ceil(rests[i] + math.max(0, window - decayed), c[i])
end
local function read(i, units)
  roll(i)
  local window = b[i] * c[i]
  local whole, over = divide(y[i], rests[i], window)
  local used = z[i] + whole + (over > 0 and 1 or 0)
  local until_seen_last = 0
  if z[i] > 0 then
    until_seen_last = rests[i] + window
  elseif y[i] > 0 then
    until_seen_last = rests[i]
  end
  return math.max(0, a[i] - used), again(i, units), ceil(until_seen_last, c[i])
end
local function charge(units)
  for i = 1, limits do z[i] = z[i] + units end
end
local function give(units)
  for i = 1, limits do
    y[i] = math.max(0, y[i] - math.max(0, units - z[i]))
    z[i] = math.max(0, z[i] - units)
  end
end
`,
  /*
   * a = count, b = window, c = ticks per millisecond. x = index of the current bucket, y and z = units of the
   * previous and of the current one.
   */
  variable: `
local LETTER = 's'
${DIVIDE}
local function roll(t)
  local at, window = ticks(t.p), t.w * t.p
  local past = fmod(at, window)
  local index = (at - past) / window
  local step = index - t.x
  if step == 1 then t.y, t.z = t.z, 0 end
  if step > 1 then t.y, t.z = 0, 0 end
  t.x = index
  return window - past, window
end
owed = function(t)
  local rest, window = roll(t)
  local whole, over = divide(t.y, rest, window)
  return t.z + whole + (over > 0 and 1 or 0)
end
add = function(t, more) roll(t) t.z = math.min(t.z + more, 1048575) end
take = function(t, less)
  roll(t)
  t.y = math.max(0, t.y - math.max(0, less - t.z))
  t.z = math.max(0, t.z - less)
end
rest_of = function(t)
  local rest, window = roll(t)
  if t.z > 0 then return ceil(rest + window, t.p) end
  return t.y > 0 and ceil(rest, t.p) or 0
end
heal = function()
  for _, t in ipairs(records) do
    local at, window = ticks(t.p), t.w * t.p
    t.x = math.min(t.x, (at - fmod(at, window)) / window)
  end
end
${VARIABLE_LOAD_AND_SAVE}
local function again(i, units)
  local t, others_may = own[i], a[i] - units
  local rest, window = roll(t)
  if others_may < 0 then return huge end
  if t.z <= others_may then
    if t.y == 0 then return 0 end
    return ceil(math.max(0, rest - divide(others_may - t.z, window, t.y)), c[i])
  end
  local decayed = divide(others_may, window, t.z)
  return ceil(rest + math.max(0, window - decayed), c[i])
end
local function read(i, units)
  return math.max(0, a[i] - owed(own[i])), again(i, units), rest_of(own[i])
end
`,
}
