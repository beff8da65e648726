import { framed, WHOLE } from './prelude.ts'
import { DIVIDE } from './sliding-window.ts'

/*
 * The scripts for limits that change from call to call: one state for a key, whatever its limits are. They
 * count as `crate/core/src/variable` does.
 *
 *   ARGV[2]  five numbers for each limit, from the one with the longest window to that with the shortest: the
 *            three that the script of the algorithm takes, then the window in milliseconds and a number that
 *            together name its record: of buckets which of several limits with this window, of a log its size.
 *            The record of a bucket with the longest window is named 0 0
 *   ARGV[3]  the longest window
 *   ARGV[5]  `blockFor` in milliseconds
 *
 * The state: a letter; the block; when the key was last charged; when the state was written; and records, one
 * for each window that the key has met. A charge is noted in all of them. In one that is new, what the key has
 * used elsewhere counts from now on, unless that was longer ago than its window: this errs towards denial.
 */

/** The most records of a key: more than limits can be named in one call, so that those of the call always have room. */
const MOST_RECORDS = 24

/**
 * An algorithm says what is owed in a record, and adds to it and takes from it. `own` are the records of the
 * limits of this call, `others` those beside them.
 */
const VARIABLE_RECORDS: string = `
local w, r = {}, {}
limits = 0
for v, x, y, z, n in ARGV[2]:gmatch('(%d+) (%d+) (%d+) (%d+) (%d+)') do
  limits = limits + 1
  a[limits], b[limits], c[limits] = tonumber(v), tonumber(x), tonumber(y)
  w[limits], r[limits] = tonumber(z), tonumber(n)
end
local records, own, others = {}, {}, {}
local charged_at, seen = 0, 0
local owed, add, take, rest_of, heal, write
local function ticks_at(time, per_ms)
  local part = time % 1000
  return (time - part) / 1000 * per_ms + math.floor(part * per_ms / 1000)
end
local function parse(from, to)
  for at = from, to - 31, 32 do
    local t = {}
    t.w, t.r, t.p, t.x, t.y, t.z = struct.unpack('>I5I4I2I7I7I7', text, at)
    records[#records + 1] = t
  end
end
local function room()
  while #records > ${MOST_RECORDS} do
    local at
    for n, t in ipairs(records) do
      local is_own = false
      for i = 1, limits do is_own = is_own or own[i] == t end
      if not is_own then
        if rest_of(t) == 0 then at = n break end
        if not at or t.w < records[at].w then at = n end
      end
    end
    table.remove(records, at)
  end
end
local function packed()
  room()
  local parts = {}
  for n, t in ipairs(records) do
    parts[n] = struct.pack('>I5I4I2I7I7I7', t.w, t.r, t.p, t.x, t.y, t.z)
  end
  return table.concat(parts)
end
local function outlast(rest)
  for _, t in ipairs(records) do rest = math.max(rest, rest_of(t)) end
  return math.max(1, rest)
end
local function elsewhere(i)
  if IS_BUCKET then return math.min(owed(own[1]), c[i]) end
  local used = 0
  for n = 1, limits do
    if own[n] and w[n] < w[i] then used = math.max(used, owed(own[n])) end
  end
  for _, t in ipairs(others) do used = math.max(used, owed(t)) end
  return used
end
local function was_idle(i)
  if IS_BUCKET or charged_at == 0 then return false end
  return math.floor((ticks_at(now, 2520) - ticks_at(charged_at, 2520)) / 2520) >= w[i]
end
local function fresh(i)
  return { w = w[i], r = r[i], p = IS_BUCKET and a[i] or c[i], x = 0, y = 0, z = 0, is_new = true }
end
local function meet(t)
  if t.is_new then
    t.is_new = nil
    records[#records + 1] = t
  end
end
local function arrange()
  if seen > now then
    healed = true
    heal()
  end
  local taken = {}
  for i = 1, limits do
    for _, t in ipairs(records) do
      if t.w == w[i] and t.r == r[i] then own[i], taken[t] = t, true end
    end
  end
  for _, t in ipairs(records) do if not taken[t] then others[#others + 1] = t end end
  local carries = false
  if IS_BUCKET then own[1] = own[1] or fresh(1) end
  for i = 1, limits do
    local used = not own[i] and op ~= 'b' and elsewhere(i) or 0
    if used > 0 and not was_idle(i) then
      own[i] = fresh(i)
      add(own[i], used)
      meet(own[i])
      carries = true
    end
  end
  for i = 1, limits do own[i] = own[i] or fresh(i) end
  if carries then
    local rest = outlast(math.ceil(math.max(0, blocked - now) / 1000))
    write(shown and rest + 3600000 or rest)
  end
end
local function price(i, units)
  return IS_BUCKET and units * b[i] or units
end
local function charge_records(units)
  for i = 1, limits do
    meet(own[i])
    add(own[i], price(i, units))
  end
  for _, t in ipairs(others) do
    if not IS_BUCKET or t.w == second then add(t, price(1, units)) end
  end
  charged_at = now
end
`

const SHORT = `
local function load()
  local size = type(text) == 'string' and #text or 0
  if size >= 22 and (size - 22) % 32 == 0 and text:sub(1, 1) == LETTER then
    blocked, charged_at, seen = struct.unpack('>I7I7I7', text, 2)
    parse(23, size)
  end
  arrange()
end
write = function(rest)
  local head = struct.pack('>c1I7I7I7', LETTER, blocked, charged_at, now)
  redis.call('SET', key, head .. packed(), 'PX', rest)
end
local save = write
local charge = charge_records
local function give(units)
  for i = 1, limits do take(own[i], price(i, units)) end
  for _, t in ipairs(others) do
    if not IS_BUCKET or t.w == second then take(t, price(1, units)) end
  end
end
`

const OUTLASTING = '  rest = outlast(rest)\n'

/** @param algorithm as {@link framed} takes it, on records */
export function variable(get: string, isBucket: boolean, algorithm: string): string {
  const records = `local IS_BUCKET = ${isBucket}${VARIABLE_RECORDS}`
  return framed(get, '', `${records}${algorithm}`, OUTLASTING)
}

/** a = ticks per millisecond, b = ticks per token, c = depth. x = when nothing is owed any more, in ticks. */
export const VARIABLE_GCRA: string = variable(
  WHOLE,
  true,
  `
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
${SHORT}
local function again(i, units)
  if units * b[i] > c[i] then return huge end
  return ceil(math.max(0, units * b[i] - (c[i] - owed(own[i]))), a[i])
end
local function read(i, units)
  local debt = owed(own[i])
  return math.max(0, math.floor((c[i] - debt) / b[i])), again(i, units), ceil(debt, a[i])
end
`,
)

/**
 * a = count, b = window, c = 1 tick per millisecond. x = when the window opened, y = units. A window begins with the
 * next whole millisecond: it may end late, never early.
 */
export const VARIABLE_FIXED_WINDOW: string = variable(
  WHOLE,
  false,
  `
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
${SHORT}
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
)

/** a = count, b = window, c = ticks per millisecond. x = index of the bucket, y and z = units before and in it. */
export const VARIABLE_SLIDING_WINDOW: string = variable(
  WHOLE,
  false,
  `
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
${SHORT}
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
)
