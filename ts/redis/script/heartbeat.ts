/*
 * Counts the processes that share this Redis, and those among them that share some limits, and proves on the
 * way that it answers, runs scripts and can be written to.
 *
 *   KEYS     sorted sets: a process and when it was last heard of, in milliseconds of the server's clock.
 *            First the set of all, then the set of those with too many limiters to be counted by each,
 *            then one for each limiter
 *   ARGV     the process, milliseconds after which one that was not heard of is gone, 1 to leave, 1 if it
 *            belongs to the second set
 *
 * Answers with how many are in the first, the time in microseconds, and when the one of all was heard of who
 * was heard of least recently, or -1; then for each set how many are in it, and 1 if the process was not in it.
 * ZRANGE is asked for politely: without permission for it, shares are handed out more slowly.
 */
export const CENSUS: string = `
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
