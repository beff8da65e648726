import { framed, RECORDS, WHOLE } from './prelude.ts'

/*
 * As `crate/core/src/algorithm/fixed_window.rs`: a = count, b = window in milliseconds, c = ticks per
 * millisecond. x = when the window opened, in ticks, y = the units it has admitted.
 *
 * A window that opens later than one window from now was opened before the server's clock was put back. It
 * is taken to open now.
 */
const USUAL = `
if is_one and op == 'c' and cost > 0 then
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
end
`

export const FIXED_WINDOW: string = framed(
  WHOLE,
  USUAL,
  `
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
)
