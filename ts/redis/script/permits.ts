import { type Script, scriptOf } from './index.ts'

/*
 * Permits: how many callers are inside at a time.
 *
 *   KEYS     sorted sets of permits, scored by when their lease ends, in milliseconds of the server's clock: one for each
 *            key that is asked about, and last the one of all keys, if there is a limit for all
 *   ARGV[1]  as in `prelude.ts`: the deadline, the amount, which means nothing here, and the operation, or c without both:
 *            c: takes a permit; b: prolongs permits, and takes those again that are not there, if there is room;
 *            r: gives permits back, also after the deadline; p: counts; d: forgets all of it
 *   ARGV[2]  most permits of a key, and ARGV[3] of all keys together; 0: no limit
 *   ARGV[4]  how long a lease is, in milliseconds
 *   ARGV[5…] for each permit, which of KEYS its key has, and its name
 *
 * Each call drops the leases that have ended. A permit is in the sets of its key and of all keys, or in none.
 *
 * Replies to c with 1 or 0, which limit refuses (0: of the key, 1: of all) and how many permits that one has out; to b
 * with 1 or 0 for each permit, after a 0; to p with 0, 0 and the count. In the end come a 0 if the reply would have an even
 * length, and the server's time if it was asked for.
 */
export const PERMITS_SCRIPT: Script = scriptOf(`
local call = redis.call
local till, op = ARGV[1]:match('(%-?%d+) %d+ (%w+)')
if not till then till, op = ARGV[1], 'c' end
till = till + 0
local time = call('TIME')
local us = time[1] * 1000000 + time[2]
if op ~= 'r' and us > till and us > -till then return { -2, us } end
local now = math.floor(us / 1000)
local per_key, of_all, lease = ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local all = of_all > 0 and KEYS[#KEYS]
if per_key == 0 then per_key = math.huge end
local sizes = {}

local function size(key)
  if not sizes[key] then
    if type(redis.pcall('ZREMRANGEBYSCORE', key, '-inf', now)) ~= 'number' then call('DEL', key) end
    sizes[key] = call('ZCARD', key)
  end
  return sizes[key]
end
local function put(key, id)
  sizes[key] = size(key) + call('ZADD', key, now + lease, id)
  local last = call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  call('PEXPIRE', key, math.max(1, math.ceil(last - now)))
end
local function may(set, most, id)
  return size(set) < most or call('ZSCORE', set, id)
end
local function permit_at(i)
  return KEYS[ARGV[i] + 0], ARGV[i + 1]
end
local function answer(reply)
  if #reply % 2 == 0 then reply[#reply + 1] = 0 end
  if till <= 0 then reply[#reply + 1] = us end
  return reply
end

if op == 'd' then
  for _, key in ipairs(KEYS) do call('DEL', key) end
  return answer({ 0, 0, 0 })
end
if op == 'p' then return answer({ 0, 0, size(KEYS[1]) }) end
if op == 'c' then
  local key, id = permit_at(5)
  if not may(key, per_key, id) then return answer({ 0, 0, size(key) }) end
  if all and not may(all, of_all, id) then return answer({ 0, 1, size(all) }) end
  put(key, id)
  if all then put(all, id) end
  return answer({ 1, 0, 0 })
end
local reply = { 0 }
if op == 'r' then reply = { 0, 0, 0 } end
for i = 5, #ARGV, 2 do
  local key, id = permit_at(i)
  if op == 'r' then
    call('ZREM', key, id)
    if all then call('ZREM', all, id) end
  else
    local is_held = may(key, per_key, id) and (not all or may(all, of_all, id))
    if is_held then
      put(key, id)
      if all then put(all, id) end
    end
    reply[#reply + 1] = is_held and 1 or 0
  end
end
return answer(reply)
`)
