import type { Sharing } from '../remote/backend.ts'
import { type Share, StoreFailure } from '../remote/failure.ts'
import type { ClockOffset } from './clock-offset.ts'
import type { RedisConnection } from './ioredis.ts'
import { serverWideName } from './key.ts'
import { readNumbers, runScript, type Script, scriptOf } from './script/index.ts'

const HEARTBEAT_MS = 2_000
/** The interval while a process is new, and other processes have to learn of it and it of them. */
export const FIRST_HEARTBEATS_MS = 500
const NEW_FOR_MS = 4_000
/** A process whose last heartbeat is this old is gone. */
const SILENCE_MS = 6_000
/** A new process waits at least this long before it takes its full share: within it, others reconnect too. */
const SETTLING_MS = 1_500
/** Groups of a process that are counted one by one. A process with more is counted for its prefix only. */
const MAX_GROUPS = 128

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
export const HEARTBEAT_SCRIPT: Script = scriptOf(`
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
`)

/**
 * The processes that share the limits of one limiter, as this process knows them. They decide its share of the
 * limits while Redis is away.
 *
 * All shares together never exceed the whole. So a new process takes next to nothing until each of the other
 * processes has sent a heartbeat again: by then they have counted it and reduced their own shares. And a
 * process that reconnects to a Redis without data keeps counting the processes that it knew, for as long as
 * they may take to reconnect as well.
 */
export class ProcessGroup implements Sharing {
  /** Processes that share the limits; 0 before the first count. */
  processes = 0
  /** Limiters of this process that are in the group. */
  limiters = 0
  /** Whether the other processes have counted this one. */
  isSettled = false
  #joinedMs = 0
  /** Processes that were counted before the data was lost. */
  #known = 0
  #knownUntilMs = 0
  readonly #heartbeats: { readonly isCounted: boolean }

  constructor(heartbeats: { readonly isCounted: boolean }) {
    this.#heartbeats = heartbeats
  }

  get group(): object {
    return this
  }

  get parts(): number {
    // A process that never reached Redis counts alone.
    if (!this.#heartbeats.isCounted) return 1
    return this.isSettled ? this.processes : Number.POSITIVE_INFINITY
  }

  get share(): Share {
    return { parts: this.parts, from: this.#heartbeats.isCounted ? 'seen' : 'nothing' }
  }

  /**
   * Takes over what a server has replied about the group, in the server's time.
   *
   * @param count processes in it, this one included
   * @param isNew whether this process was not in it before
   * @param oldestMs the oldest heartbeat of all processes; -1 if the server does not tell
   */
  learn(count: number, isNew: boolean, oldestMs: number, nowMs: number): void {
    if (isNew && this.processes > 0) this.#knownUntilMs = nowMs + SILENCE_MS
    else if (isNew) this.#joinedMs = nowMs
    // Only matters if the server's clock was set back.
    this.#joinedMs = Math.min(this.#joinedMs, nowMs)
    this.#knownUntilMs = Math.min(this.#knownUntilMs, nowMs + SILENCE_MS)
    if (nowMs >= this.#knownUntilMs) this.#known = count
    // All other processes may be new, and those known before may still be on their way.
    this.processes = nowMs < this.#knownUntilMs ? this.#known + count - 1 : count
    const waitMs = oldestMs < this.#joinedMs ? SILENCE_MS : SETTLING_MS
    this.isSettled ||= count === 1 || nowMs - this.#joinedMs >= waitMs
  }
}

/** Counts the processes that use one `keyPrefix`, and for each limiter those that share its limits. */
export class ProcessCount {
  /** The name of the set of all processes in Redis. All other sets have the same slot. */
  readonly name: string
  /** This process on this connection. Short, because it is stored once for each limiter. */
  readonly #id: string = newId()
  readonly #groups = new Map<string, ProcessGroup>()
  /** Groups that this process has left, and may still be counted in. */
  readonly #left = new Set<string>()
  /** `performance.now()` of the next heartbeat. */
  dueAt = 0
  #newUntil = 0

  constructor(prefix: string) {
    this.name = serverWideName(prefix, 'processes')
  }

  /** Whether the last limiter with the prefix has left. */
  get isLeft(): boolean {
    return this.#groups.size === 0
  }

  /** One limiter more. */
  join(limits: string, heartbeats: { readonly isCounted: boolean }): ProcessGroup {
    const group = this.#groups.get(limits) ?? new ProcessGroup(heartbeats)
    this.#groups.set(limits, group)
    group.limiters++
    this.#left.delete(limits)
    return group
  }

  /** One limiter less. The process stays in the set until it departs, or was silent for a while. */
  leave(limits: string): void {
    const group = this.#groups.get(limits)
    if (group === undefined || --group.limiters > 0) return
    this.#groups.delete(limits)
    if (this.#left.size < MAX_GROUPS) this.#left.add(limits)
  }

  /** Sends a heartbeat and learns from the reply. Rejects as the connection does. */
  async send(connection: RedisConnection, clock: ClockOffset): Promise<void> {
    const sentAt = performance.now()
    // Limiters that join while it is under way are counted the next time.
    const groups = [...this.#groups]
    const isMany = groups.length > MAX_GROUPS
    const names = this.#names(isMany ? [] : groups.map(([limits]) => limits))
    const numbers = await beat(connection, clock, names, this.#id, isMany ? 'many' : 'few')
    this.#learn(groups, numbers, isMany)
    this.#plan(sentAt)
  }

  /** Tells Redis that this process is gone. */
  async depart(connection: RedisConnection, clock: ClockOffset): Promise<void> {
    const limits = [...this.#groups.keys(), ...this.#left].slice(0, MAX_GROUPS)
    await beat(connection, clock, this.#names(limits), this.#id, 'gone')
  }

  #names(limits: readonly string[]): readonly string[] {
    return [this.name, `${this.name}:*`, ...limits.map((one) => `${this.name}:${one}`)]
  }

  #learn(groups: [string, ProcessGroup][], numbers: readonly number[], isMany: boolean): void {
    const [, serverUs = 0, oldestMs = -1, all = 0, isNew = 0, many = 0] = numbers
    const nowMs = Math.floor(serverUs / 1000)
    for (const [index, [, group]] of groups.entries()) {
      const [count = 0, isNewHere = 0] = numbers.slice(7 + 2 * index)
      if (isMany) group.learn(all, isNew === 1 || group.processes === 0, oldestMs, nowMs)
      else group.learn(count + many, isNewHere === 1, oldestMs, nowMs)
    }
  }

  #plan(now: number): void {
    const groups = [...this.#groups.values()]
    if (groups.some(({ isSettled }) => !isSettled)) this.#newUntil = now + NEW_FOR_MS
    const intervalMs = now < this.#newUntil ? FIRST_HEARTBEATS_MS : HEARTBEAT_MS
    // Slightly early rather than one tick of the timer late.
    const dueAt = now + intervalMs - FIRST_HEARTBEATS_MS / 2
    this.dueAt = groups.some(({ processes }) => processes === 0) ? 0 : dueAt
  }
}

function newId(): string {
  return process.getBuiltinModule('node:crypto').randomBytes(9).toString('base64url')
}

/**
 * Runs the script about these sets of processes, and learns the server's time from its reply.
 *
 * @param as the process belongs to each of the sets, to too many to be counted for each, or no longer to any
 */
export async function beat(
  connection: RedisConnection,
  clock: ClockOffset,
  names: readonly string[],
  id: string = newId(),
  as: 'few' | 'many' | 'gone' = 'few',
): Promise<readonly number[]> {
  const sentAt = performance.now()
  const flags = [Number(as === 'gone'), Number(as !== 'few')]
  const args = [names.length, ...names, id, SILENCE_MS, ...flags]
  const numbers = readNumbers(await runScript(connection, HEARTBEAT_SCRIPT, args))
  if (numbers === undefined) throw new StoreFailure('garbled')
  clock.learn(sentAt, numbers[1] ?? 0)
  return numbers
}
