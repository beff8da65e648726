/*
 * Counts the processes that use this Redis, and for each limiter those that share its limits. On the way it
 * proves that Redis answers, runs scripts and accepts writes.
 *
 *   KEYS     sorted sets of process ids, scored by the last heartbeat in milliseconds of the server's clock:
 *            first the set of all processes, then the set of those with too many limiters to be counted for
 *            each, then one set for each limiter
 *   ARGV     the process id, milliseconds after which a silent process is gone, 1 to leave, 1 if the process
 *            belongs to the second set
 *
 * Replies with the size of the first set, the time in microseconds, and the oldest heartbeat in the first set or
 * -1; then for each set its size, and 1 if the process was not in it.
 * ZRANGE is called with `pcall`: without permission for it, shares are handed out more slowly.
 */
export const HEARTBEAT: string = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ms = math.floor(now / 1000)
local reply = { 0, now, -1 }
for i, key in ipairs(KEYS) do
  local is_new = 0
  if redis.call('TYPE', key).ok ~= 'zset' then redis.call('DEL', key) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ms - ARGV[2])
  if ARGV[3] == '1' then
    redis.call('ZREM', key, ARGV[1])
  elseif i ~= 2 or ARGV[4] == '1' then
    is_new = redis.call('ZADD', key, ms, ARGV[1])
  end
  redis.call('PEXPIRE', key, ARGV[2])
  reply[2 + 2 * i], reply[3 + 2 * i] = redis.call('ZCARD', key), is_new
end
reply[1] = reply[4]
local first = redis.pcall('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] then reply[3] = tonumber(first[2]) end
return reply
`
