import { StoreFailure } from '../remote/failure.ts'
import { groupOf, readKeyPrefix, serverWideName } from './key.ts'
import { type Script, scriptOf } from './script/index.ts'
import { SideConnection } from './side-connection.ts'

/** Entries of the list: the oldest make room. About 20 MB in Redis. */
const MAX_ENTRIES = 100_000
/** Longer than any block lasts. */
const KEPT_MS = 8 * 86_400_000

/*
 * Notes blocks and pardons, and lists what is new.
 *
 *   KEYS[1]  a sorted set of entries, scored by a number that grows with each change: microseconds of the server's
 *            clock, or one more than the number before
 *   KEYS[2…] for each source that is noted, the entry that it has
 *   ARGV     the last number that the caller has seen, how many entries it takes, how many the list may have, how long
 *            it is kept; then for each source: b for a block or p for a pardon, when it began and when it ends in
 *            milliseconds of the server's clock, how long that can be at most from now, and the source
 *
 * An entry is a text of kind, beginning, end and source. Of two blocks the one that ends later counts. A pardon ends
 * blocks that began before it, whatever comes first, and is kept for as long as another process may know of one.
 *
 * Replies with the time in microseconds, the greatest number, and then each new entry and its number.
 */
const SYNC_SCRIPT: Script = scriptOf(`
local list = KEYS[1]
if redis.call('TYPE', list).ok ~= 'zset' then redis.call('DEL', list) end
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)
local function top()
  return tonumber(redis.call('ZRANGE', list, 0, 0, 'REV', 'WITHSCORES')[2]) or 0
end
local number = math.max(us, top() + 1)
for i = 2, #KEYS do
  local at = 5 * i - 6
  local kind, source = ARGV[at + 1], ARGV[at + 5]
  local began = math.min(tonumber(ARGV[at + 2]), now)
  local ends = math.min(tonumber(ARGV[at + 3]), now + tonumber(ARGV[at + 4]))
  local key = KEYS[i]
  if redis.call('TYPE', key).ok ~= 'string' then redis.call('DEL', key) end
  local old = redis.call('GET', key)
  local was, was_begun, was_end = string.match(old or '', '^([bp]) (%d+) (%d+) ')
  was_begun, was_end = tonumber(was_begun or -1), tonumber(was_end or 0)
  local is_news = ends > now
  if kind == 'p' then
    is_news = began >= was_begun
    ends = math.max(ends, was_end)
  elseif was == 'p' then
    is_news = is_news and began > was_begun
  else
    is_news = is_news and ends > was_end
  end
  if is_news then
    local entry = string.format('%s %.0f %.0f %s', kind, began, ends, source)
    if old then redis.call('ZREM', list, old) end
    redis.call('ZADD', list, string.format('%.0f', number), entry)
    redis.call('SET', key, entry, 'PX', string.format('%.0f', math.max(1, ends - now)))
    number = number + 1
  end
end
if #KEYS > 1 then
  redis.call('PEXPIRE', list, ARGV[4])
  local spare = redis.call('ZCARD', list) - tonumber(ARGV[3])
  for i, entry in ipairs(redis.call('ZRANGE', list, 0, 63 + #KEYS)) do
    local ends = tonumber(string.match(entry, '^[bp] %d+ (%d+) ') or 0)
    if i <= spare or ends <= now then redis.call('ZREM', list, entry) end
  end
end
local reply = { us, top() }
local news = redis.call('ZRANGE', list, '(' .. ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
for i, word in ipairs(news) do reply[2 + i] = word end
return reply
`)

/** What is noted about a source. Times are of the server's clock, in milliseconds. */
export interface Note {
  readonly kind: 'b' | 'p'
  readonly begunMs: number
  readonly endsMs: number
  /** How long that is at most from now on. */
  readonly mostMs: number
  readonly source: string
}

/** What the server says: everything in it may be wrong. */
export interface BlockNews {
  /** The time there. */
  readonly nowMs: number
  /** The number of the last change. */
  readonly top: number
  /** Entries, and the number of each. */
  readonly entries: readonly (readonly [string, number])[]
}

/** The blocks that the hosts of a service share, in Redis. */
export class RedisBlockList {
  readonly #connection: SideConnection
  readonly #name: string

  /**
   * @param storage a URL, a client of ioredis or a `RedisStorage`
   * @param name of the shield
   * @throws TypeError or RangeError for what is none; Error with code MISSING_IOREDIS
   */
  constructor(storage: unknown, keyPrefix: string | undefined, name = '') {
    this.#name = serverWideName(readKeyPrefix(keyPrefix), groupOf(name, 'blocks'))
    this.#connection = new SideConnection(storage)
  }

  /**
   * Notes these, and asks what is new.
   *
   * @param seen the number of the last change that is known
   * @throws StoreFailure after a second at the latest
   */
  async sync(notes: readonly Note[], seen: number, count: number): Promise<BlockNews> {
    const keys = notes.map(({ source }) => `${this.#name}:${source}`)
    const told = notes.flatMap((note) => [
      note.kind,
      note.begunMs,
      note.endsMs,
      note.mostMs,
      note.source,
    ])
    const args = [1 + keys.length, this.#name, ...keys, seen, count, MAX_ENTRIES, KEPT_MS, ...told]
    return readNews(await this.#connection.run(SYNC_SCRIPT, args))
  }

  close(): void {
    this.#connection.close()
  }
}

function readNews(reply: unknown): BlockNews {
  if (!Array.isArray(reply) || reply.length % 2 !== 0) throw new StoreFailure('garbled')
  const [us, top, ...rest] = reply.map(String)
  const [nowMs, last] = [Math.floor(Number(us) / 1000), Number(top)]
  if (!Number.isSafeInteger(nowMs) || !Number.isSafeInteger(last)) throw new StoreFailure('garbled')
  const entries = Array.from({ length: rest.length / 2 }, (_, i) => {
    return [rest[2 * i] ?? '', Number(rest[2 * i + 1])] as const
  })
  return { nowMs, top: last, entries }
}
