/*
 * Counts the processes that share this Redis, and proves on the way that it answers, runs scripts and can
 * be written to.
 *
 *   KEYS[1]  a sorted set: a process and when it was last heard of, in milliseconds of the server's clock
 *   ARGV     the process, milliseconds after which one that was not heard of is gone, 1 to leave
 */
export const CENSUS: string = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ms = math.floor(now / 1000)
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ms, ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { redis.call('ZCARD', KEYS[1]), now }
`
