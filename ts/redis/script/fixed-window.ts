import { type AlgorithmText, RECORDS } from './prelude.ts'
import { VARIABLE_LOAD_AND_SAVE } from './variable-prelude.ts'

/*
 * As `crate/core/src/algorithm/fixed_window.rs`: a = count, b = window in milliseconds, c = ticks per
 * millisecond. x = when the window opened, in ticks, y = the units it has admitted.
 *
 * A window that opens later than one window from now was opened before the server's clock was set back. It is
 * taken to open now.
 */
export const FIXED_WINDOW: AlgorithmText = {
  fastPath: `
  local count, per_ms = first, third
  local window = second * per_ms
  local at = ms * per_ms + math.floor(us * per_ms / 1000)
  local start, used, usual = at, 0, not text
  if text and #text == 19 and text:byte() == 70 then
    local blocked
    blocked, start, used = struct.unpack('>I7I7I4', text, 2)
    usual = blocked <= now and start <= at
    if at - start >= window or used == 0 then start, used = at, 0 end
  end
  used = used + cost
  if usual and used <= count then
    local rest = math.ceil((window - (at - start)) / per_ms)
    redis.call('SET', key, struct.pack('>c1I7I7I4', 'F', 0, start, used),
      'PX', shown and rest + 3600000 or rest)
    if till > 0 then return { 1, count - used, 0, rest, rest } end
    return { 1, count - used, 0, rest, rest, now }
  end
`,
  fixed: `
local LETTER, SIZE, FORMAT = 'F', 11, '>I7I4'
${RECORDS}
local function rest(i)
  local at, window = ticks(c[i]), b[i] * c[i]
  local start, used = x[i] or at, y[i] or 0
  if start - at > window then start, healed = at, true end
  local age = math.max(0, at - start)
  if used == 0 or age >= window then start, used, age = at, 0, 0 end
  x[i], y[i] = start, used
  return ceil(window - age, c[i])
end
local function again(i, units)
  local after = rest(i)
  if units > a[i] then return huge end
  if units > a[i] - y[i] then return after end
  return 0
end
local function read(i, units)
  local after = rest(i)
  return math.max(0, a[i] - y[i]), again(i, units), y[i] > 0 and after or 0
end
local function charge(units)
  for i = 1, limits do y[i] = y[i] + units end
end
local function give(units)
  for i = 1, limits do y[i] = math.max(0, y[i] - units) end
end
`,
  /*
   * a = count, b = window, c = 1 tick per millisecond. x = when the window opened, y = units. A window starts with
   * the next whole millisecond: it may end late, never early.
   */
  variable: `
local LETTER = 'f'
local function open(t)
  local at, window = ticks(t.p), t.w * t.p
  local age = math.max(-1, at - t.x)
  if t.y == 0 or age >= window then
    age = us > 0 and -1 or 0
    t.x, t.y = at - age, 0
  end
  return ceil(window - age, t.p)
end
owed = function(t) open(t) return t.y end
add = function(t, more) open(t) t.y = math.min(t.y + more, 1073741823) end
take = function(t, less) open(t) t.y = math.max(0, t.y - less) end
rest_of = function(t)
  local rest = open(t)
  return t.y > 0 and rest or 0
end
heal = function()
  for _, t in ipairs(records) do
    t.x = math.max(0, t.x - (ticks_at(seen, t.p) - ticks(t.p)))
  end
end
${VARIABLE_LOAD_AND_SAVE}
local function again(i, units)
  local rest = open(own[i])
  if units > a[i] then return huge end
  if units > a[i] - own[i].y then return rest end
  return 0
end
local function read(i, units)
  local rest = open(own[i])
  local used = own[i].y
  return math.max(0, a[i] - used), again(i, units), used > 0 and rest or 0
end
`,
}
