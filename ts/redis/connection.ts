import type { Decision } from '../decision.ts'
import type { StoreStatus } from '../limiter.ts'
import type { StoreUser } from '../remote/failure.ts'
import { StoreFailure } from '../remote/failure.ts'
import type { Deadlines } from '../remote/guard.ts'
import { type EarlyCall, ScriptCall, type StartQueue, StartUp } from './calls.ts'
import { failureOf, isScriptLost } from './failure.ts'
import type { RedisConnection, Socket } from './ioredis.ts'
import { Nodes } from './nodes.ts'
import { firstArg, isTooLate, readNumbers, type ScriptArgs } from './script/index.ts'
import type { Server } from './server.ts'

/** Commands in one write: few enough that Redis works on them while we write the next. */
const MAX_BATCH = 16

/**
 * Our connection to Redis.
 *
 * A script call is sent only while the connection is ready and its server replies. It is sent once, and carries
 * the time after which the script must not charge any more. A call whose connection breaks may have been
 * charged, and is never sent again.
 */
export class Connection {
  readonly nodes: Nodes
  readonly #connection: RedisConnection
  readonly #batcher: WriteBatcher
  readonly #started: Promise<void>
  /** Until Redis has replied for the first time, or was waited for long enough. */
  #startUp: StartUp | undefined

  constructor(connection: RedisConnection) {
    this.#connection = connection
    this.#batcher = new WriteBatcher(connection)
    this.nodes = new Nodes(connection, () => this.#sendParked())
    this.#startUp = new StartUp(() => this.#giveUpStart())
    this.#started = this.#startUp.over
    connection.connect().catch(() => {})
  }

  /** One more limiter. Its callers may wait for the first connection. */
  join(user: StoreUser): void {
    this.nodes.users.add(user)
    this.#startUp?.wait(user.connectTimeoutMs)
  }

  leave(user: StoreUser): void {
    this.nodes.users.delete(user)
  }

  /** Waits for the first connection if there was none yet, then tells whether Redis decides. */
  async ready(): Promise<StoreStatus> {
    await this.#started
    return this.nodes.status
  }

  /**
   * Calls a script. Resolves or rejects within the deadline, or before the first connection within the time for
   * connecting, whatever becomes of the connection.
   *
   * @param since when the caller came, if that was earlier than now: its deadline counts from then
   * @throws StoreFailure
   */
  call(
    args: ScriptArgs,
    deadlines: Deadlines,
    queue: StartQueue,
    since?: number,
  ): Promise<Decision | undefined> {
    const now = performance.now()
    const from = since ?? now
    return new Promise((resolve, reject) => {
      if (this.#startUp !== undefined) {
        this.#startUp.park({ args, deadlines, queue, since: now, resolve, reject })
        return
      }
      const server = this.nodes.serverOf(args.name)
      if (!server.isAvailableWithin(deadlines.ms)) {
        reject(new StoreFailure('unavailable'))
        return
      }
      const call = new ScriptCall(args, from + deadlines.ms, resolve, reject)
      if (call.dueAt <= now) {
        reject(new StoreFailure('timeout'))
        return
      }
      call.isShort = now - from > deadlines.ms / 2
      deadlines.add(call, from, now)
      this.#send(call, server, now)
    })
  }

  async close(): Promise<void> {
    await this.nodes.close()
    this.#connection.disconnect()
    this.#connection.release?.()
    this.#endStart()
  }

  #send(call: ScriptCall, server: Server, now: number): void {
    const { script, name, op, amount, tail } = call.args
    call.server = server
    call.sentAt = now
    this.#batcher.add()
    const deadline = server.clock.deadline(call.dueAt, now)
    this.#connection.evalsha(script.sha, '1', name, firstArg(op, amount, deadline), ...tail).then(
      (reply) => this.#receive(call, server, reply),
      (error: unknown) => this.#fail(call, server, error, deadline),
    )
  }

  #receive(call: ScriptCall, server: Server, reply: unknown): void {
    const numbers = readNumbers(reply)
    if (numbers === undefined) call.fail(new StoreFailure('garbled'))
    else if (isTooLate(numbers)) this.#sendAgain(call, server, numbers[1] as number)
    else {
      if (numbers.length % 2 === 0) server.clock.learn(call.sentAt, numbers.at(-1) ?? 0)
      try {
        call.answer(numbers)
      } catch {
        call.fail(new StoreFailure('garbled'))
      }
    }
  }

  /** The server's clock is further ahead than we assumed, or the call took long to arrive. */
  #sendAgain(call: ScriptCall, server: Server, serverUs: number): void {
    server.clock.forget()
    server.clock.learn(call.sentAt, serverUs)
    const now = performance.now()
    if (call.settled || call.repeated || now >= call.dueAt) {
      call.fail(new StoreFailure('timeout'))
      return
    }
    call.repeated = true
    this.#send(call, server, now)
  }

  /** A server that does not know the script is sent its text. */
  #fail(call: ScriptCall, server: Server, error: unknown, deadline: string): void {
    if (!isScriptLost(error) || call.settled) {
      call.fail(failureOf(error))
      return
    }
    const { script, name, op, amount, tail } = call.args
    this.#connection.eval(script.text, '1', name, firstArg(op, amount, deadline), ...tail).then(
      (reply) => this.#receive(call, server, reply),
      (again: unknown) => call.fail(failureOf(again)),
    )
  }

  /** Sends the calls that waited for the first reply. They have the rest of the wait, and at least the deadline. */
  #sendParked(): void {
    const now = performance.now()
    for (const { args, deadlines, queue, since, resolve, reject } of this.#endStart()) {
      const isLonger = since + queue.deadlines.ms >= now + deadlines.ms
      const [list, from] = isLonger ? [queue.deadlines, since] : [deadlines, now]
      const call = new ScriptCall(args, from + list.ms, resolve, reject)
      list.add(call, from, now)
      this.#send(call, this.nodes.serverOf(args.name), now)
    }
  }

  #giveUpStart(): void {
    if (this.#startUp === undefined) return
    const parked = this.#endStart()
    this.nodes.giveUpStart()
    for (const { reject } of parked) reject(new StoreFailure('disconnected'))
  }

  #endStart(): readonly EarlyCall[] {
    const parked = this.#startUp?.finish() ?? []
    this.#startUp = undefined
    return parked
  }
}

/**
 * Sends the commands of one turn of the event loop in few writes; each alone would be a system call. Unlike in
 * a pipeline, no command waits for a reply first.
 */
class WriteBatcher {
  readonly #connection: RedisConnection
  #corked: Socket | undefined
  #size = 0

  constructor(connection: RedisConnection) {
    this.#connection = connection
  }

  /** To be called before a command is sent. */
  add(): void {
    const { stream } = this.#connection
    if (stream?.cork === undefined) return
    if (this.#corked === stream) {
      this.#size++
      if (this.#size > MAX_BATCH) this.#flush(stream)
      return
    }
    this.#corked = stream
    this.#size = 1
    stream.cork()
    process.nextTick(() => {
      if (this.#corked === stream) this.#corked = undefined
      stream.uncork?.()
    })
  }

  #flush(stream: Socket): void {
    this.#size = 1
    stream.uncork?.()
    stream.cork?.()
  }
}
