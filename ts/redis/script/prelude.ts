/*
 * What the scripts of all algorithms have in common. A script is one call: it reads the key's state, decides
 * about all limits together, and writes all of them or none.
 *
 *   KEYS[1]  the state of one key under one policy
 *   ARGV[1]  the deadline, the amount and the operation; the last two only if it is not a check of one unit
 *            deadline: time of the server's clock in microseconds after which the caller has given up;
 *            with a minus sign before it, the server's time comes as the reply's last number
 *            amount: the cost, the units, or milliseconds of the block
 *            operation: c(heck), p(eek), r(efund), b(lock), d(elete), or the number of units that a check may
 *            charge if there are more than it costs; t(ake), a check whose denial starts no block; q and the
 *            number of a limit: a take that also requires that this limit owes nothing
 *   ARGV[2…4]  three numbers for the first limit
 *   ARGV[5]  `blockFor` in milliseconds, and three numbers for each further limit. May be left out if it would be 0
 *            and ARGV[1] is the deadline alone
 *   ARGV[6]  in tests only: the time in microseconds
 *
 * Lua counts in doubles. Up to 2^52 a quotient of whole numbers rounds down or up correctly: its error is
 * smaller than its distance to the next whole number.
 * The text never depends on a limit or a key, so a server caches one script for each algorithm.
 *
 * A call of a Lua function costs the server as much as ten operators: the path of every call does with operators
 * what it can. `t + 0` is the number that a text stands for, and `n - n % 1` is n rounded down.
 */

/** Reads the arguments and the clock. After the deadline it changes nothing: the caller has its answer already. */
const PARSE = `
local call = redis.call
local key, rule, shown = KEYS[1], ARGV[5], ARGV[6]
local till, cost, op = ARGV[1], 1, 'c'
if rule and not tonumber(till) then
  till, cost, op = till:match('(%-?%d+) (%d+) (%w+)')
  cost = cost + 0
end
till = till + 0
local first, second, third = NUMBERS
local now
if shown then
  shown = shown + 0
  now = shown
else
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
  if now > till and now > -till then return { -2, now } end
end
local us = now % 1000
local ms = (now - us) / 1000
local text = redis.pcall(GET)
`

/** Sets up the general case: several limits, and every operation. */
const SET_UP = `
local fmod, huge = math.fmod, math.huge
local a, b, c = { first }, { second }, { third }
local penalty, further = (rule or '0'):match('(%d+)(.*)')
penalty = tonumber(penalty)
for x, y, z in further:gmatch('(%d+) (%d+) (%d+)') do
  a[#a + 1], b[#b + 1], c[#c + 1] = tonumber(x), tonumber(y), tonumber(z)
end
local limits = #a
local blocked, healed = 0, false
local left, wait, reset, more = {}, {}, {}, {}

local function ceil(n, by)
  return math.ceil(n / by)
end
local function ticks(per_ms)
  return ms * per_ms + math.floor(us * per_ms / 1000)
end
`

/**
 * Loads and saves what the algorithms keep in one short text: a letter, the block, and a record for each
 * limit. Anything else under the key is foreign or broken, and is treated as no state.
 */
export const RECORDS: string = `
local x, y, z = {}, {}, {}
local function load()
  if type(text) ~= 'string' or #text ~= 8 + SIZE * limits or text:sub(1, 1) ~= LETTER then
    return
  end
  blocked = struct.unpack('>I7', text, 2)
  for i = 1, limits do
    x[i], y[i], z[i] = struct.unpack(FORMAT, text, 9 + SIZE * (i - 1))
  end
end
local function save(rest)
  local parts = { LETTER, struct.pack('>I7', blocked) }
  for i = 1, limits do parts[i + 2] = struct.pack(FORMAT, x[i] or 0, y[i] or 0, z[i] or 0) end
  redis.call('SET', key, table.concat(parts), 'PX', rest)
end
`

/** Decides as `crate/core/src/limit_set.rs` does. The reply is described in `remote/backend.ts`; -1 means never. */
const DECIDE = `
local function look(units)
  local free = true
  for i = 1, limits do
    left[i], wait[i], reset[i] = read(i, units)
    if wait[i] > 0 then free = false end
  end
  return free
end

local function keep()
  local rest = ceil(math.max(0, blocked - now), 1000)
  for i = 1, limits do rest = math.max(rest, reset[i]) end
OUTLASTING  if rest == 0 then
    redis.call('DEL', key)
  else
    if shown then rest = rest + 3600000 end
    save(rest)
  end
end

local charged = 1
local function answer(allowed, block)
  local deciding, least, longest = 1, huge, 0
  for i = 1, limits do
    if allowed and left[i] < left[deciding] then deciding = i end
    if not allowed and wait[i] > wait[deciding] then deciding = i end
    least, longest = math.min(least, left[i]), math.max(longest, reset[i])
    if block > 0 then left[i] = 0 end
    more[i] = math.max(block, again(i, left[i] + 1))
  end
  local retry = 0
  if not allowed then retry = math.max(wait[deciding], block) end
  if block > 0 then least, longest = 0, math.max(longest, block) end
  if retry == huge then retry = -1 end
  for i = 1, limits do
    if more[i] == huge then more[i] = -1 end
  end
  local own = math.max(reset[deciding], block)
  local reply = { allowed and charged or 0, least, retry, longest, more[1], own, block }
  if limits > 1 then
    reply[5] = deciding - 1
    for i = 1, limits do reply[6 + 2 * i], reply[7 + 2 * i] = left[i], more[i] end
    if block > 0 then
      for i = 1, limits do
        reply[#reply + 1] = wait[i] == huge and -1 or wait[i]
        reply[#reply + 1] = reset[i]
      end
    end
  end
  if till <= 0 then reply[#reply + 1] = now end
  return reply
end

local function done()
  return till > 0 and { 0, 0, 0 } or { 0, now }
end

if op == 'd' then
  redis.call('DEL', key)
  return done()
end
load()
if op == 'r' then
  look(0)
  give(cost)
  look(0)
  keep()
  return done()
end
if op == 'b' then
  look(0)
  blocked = now + cost * 1000
  keep()
  return done()
end
if cost == 0 then op, cost = 'p', 1 end
local paced = tonumber(op:match('^q(%d+)$'))
local quiet = op == 't' or paced ~= nil
if quiet then op = 'c' end
local free = look(cost)
if paced and reset[paced] > 0 then
  wait[paced], free = math.max(wait[paced], reset[paced]), false
end
local most = tonumber(op)
if most then
  op = 'c'
  for i = 1, limits do most = math.min(most, left[i]) end
  if free then cost = math.max(cost, most) end
  charged = cost
end
local block = ceil(math.max(0, blocked - now), 1000)
if block > 0 then
  if healed and op == 'c' then keep() end
  return answer(false, block)
end
if free then
  if op == 'c' then
    charge(cost)
    look(0)
    keep()
  end
  return answer(true, 0)
end
local denied = answer(false, 0)
if op == 'c' and penalty > 0 and not quiet and denied[3] >= 0 then
  blocked = now + penalty * 1000
  keep()
  return answer(false, penalty)
end
if healed and op == 'c' then keep() end
return denied
`

/** The Lua of one algorithm. */
export interface AlgorithmText {
  /** How the state is read. Default: whole, as one short text. */
  readonly get?: string
  /**
   * Decides the common case without building tables: a check against one limit, of a key that is not blocked.
   * Whatever it does not return from falls through to the rest, with the same result. Default: none.
   */
  readonly fastPath?: string
  /** For limits that stay the same: defines load, save, read, again, charge and give. */
  readonly fixed: string
  /** For limits that change from call to call: `variable-prelude.ts` says what it defines. */
  readonly variable: string
  /** Whether a unit is worth a number of ticks that depends on the limit. Default: false. */
  readonly isBucket?: boolean
}

/** The numbers of the first limit. */
const NUMBERS = 'ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0'

/** What a script for limits that change from call to call does otherwise. */
interface Variation {
  /** The three numbers that the fast path and the records know as `first`, `second` and `third`. */
  readonly numbers?: string
  /** Lengthens `rest`, the milliseconds for which the state is kept, beyond the limits of the call. */
  readonly outlasting?: string
}

/** The whole script of an algorithm. */
export function scriptText(
  { get = "'GET', key", fastPath, fixed }: Omit<AlgorithmText, 'variable'>,
  { numbers = NUMBERS, outlasting = '' }: Variation = {},
): string {
  const isCommon = "if op == 'c' and cost > 0 and not (rule and rule:find(' ', 1, true)) then"
  const fast = fastPath === undefined ? '' : `\n${isCommon}${fastPath}end\n`
  const decide = DECIDE.replace('OUTLASTING', outlasting)
  const parse = PARSE.replace('NUMBERS', numbers).replace('GET', get)
  return `${parse}${fast}${SET_UP}${fixed}${decide}`
}
