import type { Server } from 'node:net'
import { join } from 'node:path'
import type { Controls, Figures } from '../insight/types.ts'
import {
  integer,
  invalid,
  optional,
  optionalFunction,
  printable,
  readOptions,
  text,
} from '../validate.ts'
import { type Answering, answer, type Reload } from './answers.ts'
import { Clients, errorLine } from './clients.ts'
import * as place from './directory.ts'
import { listenBeside, removeSocket } from './socket-file.ts'
import { removeIfStale, sweep } from './stale.ts'

/** Options of a control socket. */
export interface ControlOptions {
  /**
   * The socket's file, or a directory to put it in. Default: `ratethrottle/control-PID.sock` in
   * `$XDG_RUNTIME_DIR`, or else in `/tmp/ratethrottle-UID`.
   */
  readonly path?: string | undefined
  /** What the command `reload` calls. Default: nothing, as limits do not come from a file. */
  readonly reload?: Reload | undefined
  /** A client that ends no line for this long is cut off, in milliseconds. Default: 30,000. */
  readonly idleMs?: number | undefined
}

/** What option `control` takes. */
export type ControlInput = true | ControlOptions

/** A control socket that is open. */
export interface Control {
  readonly path: string
  /** Whether clients find it: `false` when another process has the name. Never rejects. */
  readonly ready: Promise<boolean>
  close(): void
}

const IDLE_MS = 30_000
/** Sockets of one process in one directory: each insight has one. */
const MAX_OWN = 64

/** Closed when the process ends by itself; what a killed process leaves, the next one removes. */
const open = new Set<Control>()
let closesAtExit = false

/**
 * Opens a socket on which the command line asks about this process, and changes it. Only processes of the same
 * user can reach it. It does not keep the process alive.
 *
 * @param shared the name under which processes share the figures, if they do
 * @throws Error with code CONTROL_UNTRUSTED or CONTROL_FAILED; TypeError or RangeError for an option
 */
export function openControl(
  view: Figures & Controls,
  input: ControlInput,
  shared?: string | undefined,
): Control {
  const { path, reload, idleMs } = readControl(input)
  const clients = new Clients(answersFrom({ view, reload, shared }), idleMs ?? IDLE_MS)
  // Loaded here: it takes milliseconds, and most programs have no control socket.
  const server = process
    .getBuiltinModule('node:net')
    .createServer({ allowHalfOpen: true }, (socket) => clients.welcome(socket))
  server.on('error', warn)
  server.unref()
  const at = place.usesPipes ? listenOnPipe(server, path) : listenOnFile(server, path)
  const control: Control = {
    ...at,
    close: () => {
      open.delete(control)
      clients.close()
      server.close()
      at.remove()
    },
  }
  open.add(control)
  if (!closesAtExit) {
    closesAtExit = true
    process.on('exit', () => {
      for (const each of open) each.close()
    })
  }
  return control
}

/** @throws TypeError or RangeError that names the option, its value and what is accepted */
export function readControl(input: unknown): ControlOptions {
  if (input === true) return {}
  if (typeof input !== 'object' || input === null) {
    throw invalid(TypeError, 'INVALID_OPTION', 'control', 'true or { path }', input)
  }
  return readOptions<ControlOptions>(input as ControlOptions, {
    path: optional((value, name) => text(value, `control.${name}`, 1, 1_000)),
    reload: optionalFunction<Reload>,
    idleMs: optional((value, name) => integer(value, `control.${name}`, 1, 3_600_000)),
  })
}

/** The answer to each line, as a line. */
function answersFrom(to: Answering): (line: string) => Promise<string> {
  return async (line) => {
    try {
      return `${JSON.stringify({ ok: true, result: (await answer(to, line)) ?? null })}\n`
    } catch (error) {
      const { code = 'FAILED', message } = error as { code?: unknown; message?: unknown }
      return errorLine(String(code), typeof message === 'string' ? message : 'failed')
    }
  }
}

interface Listening {
  readonly path: string
  readonly ready: Promise<boolean>
  remove(): void
}

function listenOnFile(server: Server, given: string | undefined): Listening {
  const isDirectory = given !== undefined && place.look(given)?.isDirectory() === true
  if (given !== undefined && !isDirectory) return listenAt(server, given)
  const directory = given ?? place.openDirectory(place.directories()[0] as string)
  place.checkParent(join(directory, 'x'))
  const socket = listenBeside(server, place.socketIn(directory, 0))
  let n = 0
  while (!socket.give(place.socketIn(directory, n))) {
    n++
    if (n < MAX_OWN) continue
    socket.discard()
    throw place.failed(directory, `this process has ${MAX_OWN} there`)
  }
  sweep(directory).catch(warn)
  return named(place.socketIn(directory, n))
}

/** At one path: the socket of a process that has ended is replaced, that of another is left alone. */
function listenAt(server: Server, path: string): Listening {
  place.checkParent(path)
  const socket = listenBeside(server, path)
  if (socket.give(path)) return named(path)
  let ours: Listening | undefined
  let isClosed = false
  const takeOver = async (): Promise<boolean> => {
    const isFree = await removeIfStale(path)
    if (isClosed) return false
    if (isFree && socket.give(path)) {
      ours = named(path)
      return true
    }
    socket.discard()
    warn(new Error(`${printable(path)} is in use, by another process or for something else`))
    return false
  }
  const ready = takeOver().catch((error: Error) => {
    warn(error)
    return false
  })
  const remove = (): void => {
    isClosed = true
    if (ours === undefined) socket.discard()
    else ours.remove()
  }
  return { path, ready, remove }
}

function named(path: string): Listening {
  const inode = place.look(path)?.ino
  const remove = (): void => {
    if (inode !== undefined) removeSocket(path, inode)
  }
  return { path, ready: Promise.resolve(true), remove }
}

/** Not tested: on Windows. A pipe belongs to the user who made it, and ends with its process. */
function listenOnPipe(server: Server, given: string | undefined): Listening {
  let n = 0
  for (const each of open) if (each.path === place.pipeName(n)) n++
  const path = given ?? place.pipeName(n)
  server.listen({ path, exclusive: true })
  return { path, ready: Promise.resolve(server.listening), remove: () => {} }
}

/** A service runs without its control socket, but says so. */
function warn({ message }: Error): void {
  process.emitWarning(`the control socket cannot be used: ${message}`, {
    type: 'RateThrottleWarning',
    code: 'RATETHROTTLE_CONTROL',
  })
}
