import { type AlgorithmText, scriptText } from './prelude.ts'

/*
 * What the scripts have in common for limits that change from call to call: one state for a key, whatever its
 * limits are. They count as `crate/core/src/variable` does.
 *
 *   ARGV[2]  five numbers for each limit, from the longest window to the shortest: the three numbers that the
 *            script of the algorithm takes, then the window in milliseconds and a number that together name its
 *            record: of buckets which of several limits with this window, of a log its size. The record of the
 *            bucket with the longest window is named 0 0
 *   ARGV[3]  the longest window
 *   ARGV[5]  `blockFor` in milliseconds
 *
 * The state: a letter; the block; when the key was last charged; when the state was written; and records, one
 * for each window that the key was called with. A charge goes into all of them. A new record starts with what
 * the key has used under the others, unless that was longer ago than its window: this errs towards denial.
 */

/** The most records of a key: more than the limits of one call, so there is always room for all of those. */
const MAX_RECORDS = 24

/**
 * The algorithm defines what a record owes, and how to add to it and take from it. `own` are the records of the
 * limits of this call, `others` the remaining ones.
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
  while #records > ${MAX_RECORDS} do
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

/** Loads and saves a state that is one short text. Comes after what the algorithm defines. */
export const VARIABLE_LOAD_AND_SAVE: string = `
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

/** The whole script of an algorithm for limits that change. */
export function variableScriptText(algorithm: AlgorithmText): string {
  const { fastPath, isBucket = false, variable, ...text } = algorithm
  const fixed = `local IS_BUCKET = ${isBucket}${VARIABLE_RECORDS}${variable}`
  const numbers = '0, ARGV[3] + 0, 0'
  return scriptText({ ...text, fixed }, { numbers, outlasting: '  rest = outlast(rest)\n' })
}
