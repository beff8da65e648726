import { framed } from './prelude.ts'

/*
 * As `crate/core/src/algorithm/sliding_log.rs`: a = count, b = window in milliseconds, c = ticks per
 * millisecond.
 *
 * All limits see the same admissions, so they share one log: a ring of as many places as the limit with the
 * longest window has units. An entry is the time of a charge, in microseconds, and the number of units
 * charged before it; the header holds the block, the oldest and the next entry, and the units in all. The
 * start of the text comes with one read, and is enough for most; beyond it, bisecting reads place by place.
 */
export const SLIDING_LOG: string = framed(
  "'GETRANGE', key, 0, 4095",
  '',
  `
local HEADER, PLACE, START = 25, 14, 4096
local longest = 1
for i = 2, limits do if b[i] > b[longest] then longest = i end end
local places = a[longest]
local first, next, total, foreign = 0, 0, 0, false
local function entry(n)
  local from = HEADER + n % places * PLACE
  if from + PLACE <= #text then return struct.unpack('>I7I7', text, from + 1) end
  return struct.unpack('>I7I7', redis.call('GETRANGE', key, from, from + PLACE - 1))
end
local function search(from, to, passes)
  while from < to do
    local middle = math.floor((from + to) / 2)
    if passes(middle) then from = middle + 1 else to = middle end
  end
  return from
end
local function age(i, time)
  local then_ms = (time - time % 1000) / 1000
  return math.max(0, ticks(c[i]) - then_ms * c[i] - math.floor((time - then_ms * 1000) * c[i] / 1000))
end
local uses, oldest = {}, 0
local function used(i)
  if uses[i] then return uses[i] end
  local live = search(first, next, function(n)
    return age(i, (entry(n))) >= b[i] * c[i]
  end)
  uses[i] = 0
  if live < next then
    local _, before = entry(live)
    uses[i] = total - before
  end
  if i == longest then oldest = live end
  return uses[i]
end
local function head()
  return struct.pack('>c1I7I5I5I7', 'L', blocked, first, next, total)
end
local function load()
  local letter
  if type(text) == 'string' and #text >= HEADER then
    letter, blocked, first, next, total = struct.unpack('>c1I7I5I5I7', text)
  end
  if letter ~= 'L' or first > next or next - first > places or total < next - first then
    foreign = text ~= ''
    blocked, first, next, total, text = 0, 0, 0, 0, ''
    return
  end
  if next == first then return end
  local newest = entry(next - 1)
  if newest - now > b[longest] * 1000 then
    -- Written before the server's clock was put back: the same units, taken for charged now.
    local _, before = entry(first)
    local units = math.max(1, math.min(total - before, places))
    healed, first, next, total = true, 0, 1, units
    text = head() .. struct.pack('>I7I7', now, 0)
    redis.call('SET', key, text, 'PX', b[longest])
  end
end
local function save(rest)
  if #text < HEADER then
    redis.call('SET', key, head(), 'PX', rest)
  else
    redis.call('SETRANGE', key, 0, head())
    redis.call('PEXPIRE', key, rest)
  end
end
local function again(i, units)
  if units > a[i] then return huge end
  local enough = total - a[i] + units
  local after = search(first, next, function(n)
    local _, before = entry(n)
    return before < enough
  end)
  if after == first then return 0 end
  return ceil(math.max(0, b[i] * c[i] - age(i, (entry(after - 1)))), c[i])
end
local function read(i, units)
  local rest = 0
  if next > first then rest = ceil(math.max(0, b[i] * c[i] - age(i, (entry(next - 1)))), c[i]) end
  return a[i] - used(i), again(i, units), rest
end
local function charge(units)
  local time = now
  if next > first then time = math.max(now, (entry(next - 1))) end
  if used(longest) > 0 then
    first = oldest
  else
    first, next, total = 0, 0, 0
    if foreign or #text > 0 then redis.call('DEL', key) end
    text = ''
  end
  local place = struct.pack('>I7I7', time, total)
  local from = HEADER + next % places * PLACE
  next, total = next + 1, total + units
  if from <= #text and from < START then
    text = text:sub(1, from) .. place .. text:sub(from + PLACE + 1)
  elseif #text == 0 then
    text = head() .. place
  end
  redis.call('SETRANGE', key, from, place)
  uses = {}
end
local function give(units)
  local in_use = used(longest)
  total = total - math.min(units, in_use)
  next = search(first, next, function(n)
    local _, before = entry(n)
    return before < total
  end)
  uses = {}
end
`,
)
