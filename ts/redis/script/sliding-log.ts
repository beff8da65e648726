import type { AlgorithmText } from './prelude.ts'

/** The end of `entry`: reads the entry at `from`. */
const READ_ENTRY = `  if from + PLACE <= #text then return struct.unpack('>I7I7', text, from + 1) end
  return struct.unpack('>I7I7', redis.call('GETRANGE', key, from, from + PLACE - 1))
end
`

/** The end of `search`: bisects between `from` and `to`. */
const BISECT = `  while from < to do
    local middle = math.floor((from + to) / 2)
    if passes(middle) then from = middle + 1 else to = middle end
  end
  return from
end
`

/** The end of `save`: replaces the header of a log that there is already. */
const REPLACE_HEAD = `  else
    redis.call('SETRANGE', key, 0, head())
    redis.call('PEXPIRE', key, rest)
  end
end
`

/** What an entry passes in `search`: a comparison of the units that were charged before it. */
function unitsBefore(comparison: string): string {
  return `function(n)
    local _, before = entry(n)
    return before ${comparison}
  end`
}

/*
 * As `crate/core/src/algorithm/sliding_log.rs`: a = count, b = window in milliseconds, c = ticks per millisecond.
 *
 * All limits share one log: a ring of as many places as the limit with the longest window has units. An entry is
 * the time of a charge, in microseconds, and the units charged before it. The header holds the block, the oldest
 * and the next entry, and the total. One read gets the start of the text; bisecting beyond it reads single places.
 */
export const SLIDING_LOG: AlgorithmText = {
  // The start of the log is enough for most.
  get: "'GETRANGE', key, 0, 4095",
  fixed: `
local HEADER, PLACE, START = 25, 14, 4096
local longest = 1
for i = 2, limits do if b[i] > b[longest] then longest = i end end
local places = a[longest]
local first, next, total, foreign = 0, 0, 0, false
local function entry(n)
  local from = HEADER + n % places * PLACE
${READ_ENTRY}local function search(from, to, passes)
${BISECT}local function age(i, time)
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
${REPLACE_HEAD}local function again(i, units)
  if units > a[i] then return huge end
  local enough = total - a[i] + units
  local after = search(first, next, ${unitsBefore('< enough')})
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
  next = search(first, next, ${unitsBefore('< total')})
  uses = {}
end
`,
  /*
   * All records share the log, so a charge is written once. A record holds the unit of the log from which it counts
   * (y), and the units that it took over (z) from other records when it was made (x). Entries are appended; once more
   * of them have expired than still count, those that count are moved to the front.
   */
  variable: `
local HEADER, PLACE, START = 812, 14, 4096
local base, next, total = 0, 0, 0
local function entry(n)
  local from = HEADER + (n - base) * PLACE
${READ_ENTRY}local function search(passes)
  local from, to = base, next
${BISECT}local function age(t, time)
  return math.max(0, ticks(t.p) - ticks_at(time, t.p))
end
local function is_over(t, time)
  return age(t, time) >= t.w * t.p
end
local function logged(t)
  local live = search(function(n) return is_over(t, (entry(n))) end)
  if live == next then return 0 end
  local _, before = entry(live)
  return math.max(0, total - math.max(t.y, before))
end
local function taken_over(t)
  return is_over(t, t.x) and 0 or t.z
end
local function start(t)
  local live = search(function(n) return is_over(t, (entry(n))) end)
  local beyond = search(${unitsBefore('<= t.y')})
  return math.max(live, beyond - 1)
end
owed = function(t) return logged(t) + taken_over(t) end
add = function(t, more)
  t.x, t.y, t.z = now, total, math.min(more, t.r)
end
rest_of = function(t)
  local time = t.z > 0 and t.x
  if total > t.y and next > base then time = entry(next - 1) end
  return time and ceil(math.max(0, t.w * t.p - age(t, time)), t.p) or 0
end
local function head()
  local list = packed()
  local state = struct.pack('>c1I7I7I7I7I7I7I1', 'l', blocked, charged_at, now, base, next, total, #list / 32)
  return state .. list .. ('\\0'):rep(HEADER - #state - #list)
end
-- What was written before the server's clock was put back is taken for charged now.
heal = function()
  local first = total
  for _, t in ipairs(records) do
    first, t.x = math.min(first, t.y), math.min(t.x, now)
  end
  if next > base then
    local _, before = entry(base)
    base, next = 0, 1
    text = ('\\0'):rep(HEADER) .. struct.pack('>I7I7', now, math.max(first, before))
    redis.call('SET', key, text, 'PX', 1000)
  end
end
local function load()
  local letter, count
  if type(text) == 'string' and #text >= HEADER then
    letter, blocked, charged_at, seen, base, next, total, count =
      struct.unpack('>c1I7I7I7I7I7I7I1', text)
  end
  if letter ~= 'l' or next < base or count > 24 then
    text, blocked, charged_at, seen, base, next, total = '', 0, 0, 0, 0, 0, 0
  else
    parse(45, 44 + 32 * count)
  end
  arrange()
  for i = 1, limits do if own[i].is_new then own[i].y = total end end
end
write = function(rest)
  if #text < HEADER then
    text = head()
    redis.call('SET', key, text, 'PX', rest)
${REPLACE_HEAD}local save = write
local function again(i, units)
  if units > a[i] then return huge end
  local t, may_stay = own[i], a[i] - units
  local leaving, time = total - may_stay - 1, nil
  if leaving >= t.y then
    local after = search(function(n)
      local _, before = entry(n)
      return before <= leaving
    end)
    if after == base then return 0 end
    time = entry(after - 1)
  elseif total - t.y + t.z > may_stay then
    time = t.x
  else
    return 0
  end
  return ceil(math.max(0, t.w * t.p - age(t, time)), t.p)
end
local function read(i, units)
  return math.max(0, a[i] - owed(own[i])), again(i, units), rest_of(own[i])
end
local function compact()
  local oldest = next
  for _, t in ipairs(records) do oldest = math.min(oldest, start(t)) end
  if #text >= HEADER and oldest - base <= 64 + next - oldest then return end
  local live = ''
  if next > oldest then
    local from = HEADER + (oldest - base) * PLACE
    live = redis.call('GETRANGE', key, from, HEADER + (next - base) * PLACE - 1)
  end
  base, text = oldest, ('\\0'):rep(HEADER) .. live
  redis.call('SET', key, text)
end
local function charge(units)
  local time = now
  if next > base then time = math.max(now, (entry(next - 1))) end
  for i = 1, limits do meet(own[i]) end
  compact()
  local place = struct.pack('>I7I7', time, total)
  local from = HEADER + (next - base) * PLACE
  redis.call('SETRANGE', key, from, place)
  if from <= #text and from < START then
    text = text:sub(1, from) .. place .. text:sub(from + PLACE + 1)
  elseif from + PLACE <= #text then
    text = text:sub(1, from)
  end
  next, total, charged_at = next + 1, total + units, now
  for _, t in ipairs(records) do
    local excess = math.max(0, t.z + total - t.y - t.r)
    local less = math.min(t.z, excess)
    t.z, t.y = t.z - less, t.y + excess - less
  end
end
local function give(units)
  local back = 0
  for _, t in ipairs(records) do
    local in_log = logged(t)
    local less = math.min(units, in_log + taken_over(t))
    back = math.max(back, math.min(less, in_log))
    t.less = math.max(0, less - in_log)
  end
  total = total - back
  for _, t in ipairs(records) do t.y, t.z = math.min(t.y, total), t.z - t.less end
  next = search(${unitsBefore('< total')})
end
`,
}
