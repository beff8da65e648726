import type { Decision } from '../decision.ts'
import type { StoreStatus } from '../limiter.ts'
import type { Asker } from '../remote/backend.ts'
import { StoreFailure } from '../remote/failure.ts'
import { invalid } from '../validate.ts'
import { type EarlyCall, type RedisUser, ScriptCall, type Server, StartUp } from './calls.ts'
import { isScriptLost, redisFailure } from './failure.ts'
import {
  connect,
  duplicate,
  isClient,
  type RedisClient,
  type RedisConnection,
  type Socket,
} from './ioredis.ts'
import { Nodes } from './nodes.ts'
import { firstArg, furtherArgs, readReply, type ScriptArgs } from './script/index.ts'
import { readUrl } from './url.ts'

const ACCEPTED =
  'a URL such as "redis://127.0.0.1:6379/0", a RedisStorage or a client of ioredis (not a mock of one)'

/** One storage for each client that was passed in, and for each URL in use, so that their limiters share it. */
const byClient = new WeakMap<object, RedisStorage>()
const byUrl = new Map<string, RedisStorage>()

/**
 * Where limiters keep their counters: one connection to Redis, shared by all limiters of the process that
 * are given the same storage, client or URL, and closed with the last of them.
 *
 * ```ts
 * const api = new RedisLimiter('100/minute', { url: 'redis://127.0.0.1:6379/0', name: 'api' })
 * const login = new RedisLimiter('5/minute', { storage: api.storage, name: 'login' })
 * ```
 */
export class RedisStorage {
  readonly #open: () => RedisConnection
  #connection: Connection | undefined
  #users = 0

  /**
   * @param source a URL, or a client of ioredis. The client itself is neither changed nor closed: the storage
   * makes its own connection to the same server.
   * @throws RangeError with code INVALID_STORAGE for an invalid URL; TypeError with code INVALID_OPTION for
   * anything else
   */
  constructor(source: string | RedisClient) {
    if (typeof source === 'string') {
      const address = readUrl(source)
      this.#open = () => connect(address)
    } else if (isClient(source)) {
      this.#open = () => duplicate(source)
    } else {
      throw invalid(TypeError, 'INVALID_OPTION', 'storage', ACCEPTED, source)
    }
  }

  /** One more connection, for what is no limiter. The caller closes it. */
  open(): RedisConnection {
    return this.#open()
  }

  /** The connection, for one more limiter. Opened for the first. */
  acquire(): Connection {
    this.#connection ??= new Connection(this.#open())
    this.#users++
    return this.#connection
  }

  /** Called by each limiter that closes. After the last one it resolves when the connection is closed. */
  async release(): Promise<void> {
    this.#users--
    if (this.#users > 0) return
    const connection = this.#connection
    this.#connection = undefined
    for (const [url, storage] of byUrl) if (storage === this) byUrl.delete(url)
    await connection?.close()
  }
}

/** The storage that an option names: by URL, by client, or itself. */
export function storageOf(source: unknown): RedisStorage {
  if (source instanceof RedisStorage) return source
  const known = isClient(source) ? byClient.get(source) : byUrl.get(source as string)
  const storage = known ?? new RedisStorage(source as string)
  if (isClient(source)) byClient.set(source, storage)
  else byUrl.set(source as string, storage)
  return storage
}

/**
 * Commands in the first write of a turn, and in each further one. A write costs a system call; but Redis should
 * begin early. It takes longer over the first than we take to gather the next.
 */
const [FIRST_BATCH, MAX_BATCH] = [16, 64]
const NONE: readonly string[] = []
/** A reply starts with this if the deadline had passed. The script has done nothing then; its time comes next. */
const TOO_LATE = -2

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
  readonly #beforeWrite: (isAlone: boolean) => void
  /** Script calls that were sent and have no reply yet. */
  #unanswered = 0
  /** Until Redis has replied for the first time, or was waited for long enough. */
  #startUp: StartUp | undefined = new StartUp(() => this.#giveUpStart())

  constructor(connection: RedisConnection) {
    this.#connection = connection
    this.#beforeWrite = writeBatcher(connection)
    this.nodes = new Nodes(connection, () => this.#sendParked())
    connection.connect().catch(() => {})
  }

  /** One more limiter. Its callers may wait for the first connection. */
  join(user: RedisUser): void {
    this.nodes.users.add(user)
    this.#startUp?.wait(user.connectTimeoutMs)
  }

  /** A limiter closes. Its calls under way end, which says nothing about Redis; the others go on. */
  leave(user: RedisUser): void {
    if (this.nodes.leave(user)) this.#startUp?.leave(user.connectTimeoutMs)
    user.deadlines.cutOff()
    user.startDeadlines.cutOff()
  }

  /** Waits for the first connection if there was none yet, then tells whether Redis decides. */
  async ready(): Promise<StoreStatus> {
    await this.#startUp?.over
    return this.nodes.status
  }

  /** As {@link ask}, for a caller who has no way of its own to be told. */
  call<Answer = Decision>(
    args: ScriptArgs<Answer>,
    user: RedisUser,
    since?: number,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.ask({ answered: resolve as Asker['answered'], failed: reject }, args, user, since)
    })
  }

  /** Whether names in different slots may be on different servers. */
  get isCluster(): boolean {
    return this.#connection.isCluster === true
  }

  /**
   * Calls a script. The caller is told within the deadline, or before the first connection within the time for
   * connecting, whatever becomes of the connection.
   *
   * @param asker told a `StoreFailure` if it fails, and no decision if the reply is read as none
   * @param since when the caller came, if that was earlier than now: its deadline counts from then
   */
  ask(asker: Asker, args: ScriptArgs, user: RedisUser, since?: number): void {
    const { deadlines } = user
    const now = performance.now()
    const from = since ?? now
    if (this.#startUp !== undefined) {
      this.#startUp.park({ args, user, dueAt: now + user.connectTimeoutMs, asker }, now)
      return
    }
    const server = this.nodes.serverOf(args.name)
    const call = new ScriptCall(args, from + deadlines.ms, asker, user)
    if (!server.isAvailableWithin(deadlines.ms)) call.fail(new StoreFailure('unavailable'))
    else if (call.dueAt <= now) call.expire()
    else {
      call.isShort = now - from > deadlines.ms / 2
      deadlines.add(call, now)
      this.#send(call, server, now)
    }
  }

  async close(): Promise<void> {
    await this.nodes.close()
    this.#connection.disconnect()
    this.#connection.release?.()
    this.#endStart()
  }

  /** @param isText whether the server is sent the text of the script, because it does not know the script */
  #send(call: ScriptCall, server: Server, now: number, isText = false): void {
    const { args } = call
    const { script, name, also = NONE } = args
    call.server = server
    call.sentAt = now
    this.#beforeWrite(this.#unanswered++ === 0)
    const first = firstArg(args, server.clock.deadline(call.dueAt, now))
    const further = furtherArgs(args)
    const names = 1 + also.length
    const reply = isText
      ? this.#connection.eval(script.text, names, name, ...also, first, ...further)
      : this.#connection.evalsha(script.sha, names, name, ...also, first, ...further)
    reply.then(
      (answer) => this.#receive(call, server, answer),
      (error: unknown) => {
        this.#unanswered--
        const isLost = !isText && !call.settled && isScriptLost(error)
        if (isLost) this.#send(call, server, performance.now(), true)
        else call.fail(redisFailure(error))
      },
    )
  }

  #receive(call: ScriptCall, server: Server, answer: unknown): void {
    this.#unanswered--
    const reply = readReply(answer)
    if (typeof reply === 'object') {
      if (reply[0] === TOO_LATE) {
        this.#sendAgain(call, server, reply[1] as number)
        return
      }
      if (reply.length % 2 === 0) server.clock.learn(call.sentAt, reply.at(-1) ?? 0)
    }
    try {
      if (reply === undefined) call.fail(new StoreFailure('garbled'))
      else call.answer(reply)
    } catch {
      call.fail(new StoreFailure('garbled'))
    }
  }

  /** The server's clock is further ahead than we assumed, or the call took long to arrive. */
  #sendAgain(call: ScriptCall, server: Server, serverUs: number): void {
    server.clock.forget()
    server.clock.learn(call.sentAt, serverUs)
    const now = performance.now()
    if (call.settled || call.repeated || now >= call.dueAt) call.expire()
    else {
      call.repeated = true
      this.#send(call, server, now)
    }
  }

  /** Sends the calls that waited for the first reply. They have the rest of the wait, and at least the deadline. */
  #sendParked(): void {
    const now = performance.now()
    for (const { args, user, dueAt, asker } of this.#endStart()) {
      const leastDueAt = now + user.deadlineMs
      const call = new ScriptCall(args, Math.max(dueAt, leastDueAt), asker, user)
      const list = dueAt >= leastDueAt ? user.startDeadlines : user.deadlines
      list.add(call, now)
      this.#send(call, this.nodes.serverOf(args.name), now)
    }
  }

  #giveUpStart(): void {
    if (this.#startUp === undefined) return
    const parked = this.#endStart()
    this.nodes.giveUpStart()
    for (const { asker } of parked) asker.failed(new StoreFailure('disconnected'))
  }

  #endStart(): readonly EarlyCall[] {
    const parked = this.#startUp?.finish() ?? []
    this.#startUp = undefined
    return parked
  }
}

/**
 * Returns a function to call before each command: the commands of one turn of the event loop then leave in few
 * writes; each alone would be a system call. Unlike in a pipeline, no command waits for a reply first. One that
 * comes while Redis has nothing to do leaves at once, so that Redis begins while the others are gathered.
 */
function writeBatcher(connection: RedisConnection): (isAlone: boolean) => void {
  let corked: Socket | undefined
  /** Commands for which there is still room in the next write. */
  let room = 0
  return (isAlone) => {
    const { stream } = connection
    if (stream?.cork === undefined) return
    if (corked === stream) {
      if (room-- > 0) return
      stream.uncork?.()
      room = MAX_BATCH - 1
    } else {
      if (isAlone) return
      corked = stream
      process.nextTick(() => {
        if (corked === stream) corked = undefined
        stream.uncork?.()
      })
      room = FIRST_BATCH - 1
    }
    stream.cork()
  }
}
