import type { Socket } from 'node:net'
import { Lines, MAX_REQUEST } from './lines.ts'

/** Clients that are served at once; others are told so, and cut off. */
export const MAX_CLIENTS = 16
/** Requests of one client that may wait for their turn. */
const MAX_QUEUED = 64
/** Of the time, at most one part in this many goes into answers: requests come first. */
const SHARE = 10

const MAX_PAUSE_MS = 1_000
/** A reload or a store that takes longer would keep the other clients from their answers. */
const ANSWER_MS = 30_000

/** Answers one line, and never rejects. */
export type AnswerLine = (line: string) => Promise<string>

/**
 * The clients of a control socket: each gets its answers in order, one after the other. None of them keeps the
 * process alive.
 */
export class Clients {
  readonly #answer: AnswerLine
  readonly #idleMs: number
  readonly #sockets = new Set<Socket>()
  /** Answers are made one at a time, whichever client asks. */
  #turn: Promise<unknown> = Promise.resolve()

  /** @param idleMs a client that ends no line for this long is cut off */
  constructor(answer: AnswerLine, idleMs: number) {
    this.#answer = answer
    this.#idleMs = idleMs
  }

  /** Serves a client, or says why not. */
  welcome(socket: Socket): void {
    socket.unref()
    // A client that ends in the middle of an answer is no fault of the process.
    socket.on('error', () => socket.destroy())
    if (this.#sockets.size >= MAX_CLIENTS) {
      refuse(socket, 'BUSY', `at most ${MAX_CLIENTS} clients are served at once`)
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    this.#serve(socket)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: Socket): void {
    const lines = new Lines(MAX_REQUEST)
    const idle = setTimeout(() => {
      refuse(socket, 'IDLE', `no line ended for ${this.#idleMs} ms`)
    }, this.#idleMs).unref()
    socket.on('close', () => clearTimeout(idle))
    // What it asked before it ended its side is still answered.
    socket.on('end', () => {
      this.#turn = this.#turn.then(() => socket.end())
    })
    let queued = 0
    socket.on('data', (chunk: Buffer) => {
      if (socket.writableEnded) return
      const complete = lines.take(chunk)
      if (complete === undefined) {
        refuse(socket, 'LENGTH', `a line must be at most ${MAX_REQUEST} bytes long`)
        return
      }
      if (complete.length > 0) idle.refresh()
      queued += complete.length
      if (queued > MAX_QUEUED) {
        refuse(socket, 'BUSY', `at most ${MAX_QUEUED} requests may wait for their answers`)
        return
      }
      for (const line of complete) {
        this.#turn = this.#turn.then(async () => {
          queued--
          await this.#reply(socket, line)
        })
      }
    })
  }

  async #reply(socket: Socket, line: string): Promise<void> {
    // A client that reads nothing would have its answers pile up here.
    if (socket.destroyed || socket.writableEnded) return
    if (socket.writableNeedDrain) await drained(socket)
    const began = performance.now()
    const answer = await inTime(this.#answer(line))
    const took = performance.now() - began
    if (!socket.destroyed && !socket.writableEnded) socket.write(answer)
    const pause = Math.min(MAX_PAUSE_MS, Math.ceil(took * (SHARE - 1)))
    await new Promise((resolve) => setTimeout(resolve, pause).unref())
  }
}

/** Waits until the client has read what it was sent; cuts it off if it does not. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.destroy(), MAX_PAUSE_MS).unref()
    const end = (): void => {
      clearTimeout(late)
      socket.off('drain', end).off('close', end)
      resolve()
    }
    socket.on('drain', end).on('close', end)
  })
}

/** The answer, or that there is none in time. */
function inTime(answer: Promise<string>): Promise<string> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, ANSWER_MS, LATE).unref()
    answer.then((line) => {
      clearTimeout(late)
      resolve(line)
    }, resolve)
  })
}

function refuse(socket: Socket, code: string, message: string): void {
  if (socket.writableEnded) return
  socket.end(errorLine(code, message), () => socket.destroy())
  // One that reads nothing is not waited for.
  setTimeout(() => socket.destroy(), MAX_PAUSE_MS).unref()
}

/** The answer to a request that failed. */
export function errorLine(code: string, message: string): string {
  return `${JSON.stringify({ ok: false, error: { code, message } })}\n`
}

const LATE = errorLine('LATE', `no answer in ${ANSWER_MS} ms`)
