import { lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { withCode } from '../validate.ts'

/*
 * Where control sockets lie: in a directory of the user's own, which no other user may enter. Node cannot ask who
 * connects, so the owner and the mode of the directory and of the socket keep other users out.
 */

const IS_WINDOWS: boolean = process.platform === 'win32'
/** Named pipes lie in a list of their own, and have no directories. */
const PIPES = '\\\\.\\pipe\\'
const PIPE = 'ratethrottle-control-'
const SOCKET = /^control-(\d{1,10})(?:-\d{1,3})?\.sock$/
const PRIVATE = 0o700

/** A socket or pipe, and the process that it is named after. */
export interface Place {
  readonly path: string
  readonly pid: number
}

/** The name of a process' socket in a directory, the `n`th of its sockets. */
export function socketIn(directory: string, n: number): string {
  const suffix = n === 0 ? '' : `-${n}`
  return join(directory, `control-${process.pid}${suffix}.sock`)
}

/** The name of a pipe of this process, on Windows. Not tested. */
export function pipeName(n: number): string {
  return `${PIPES}${PIPE}${process.pid}${n === 0 ? '' : `-${n}`}`
}

/** Where names of sockets are pipes. */
export const usesPipes: boolean = IS_WINDOWS

/** The directories that may hold sockets of this user, the preferred one first. */
export function directories(environment: NodeJS.ProcessEnv = process.env): string[] {
  const own = `/tmp/ratethrottle-${process.geteuid?.() ?? 0}`
  const { XDG_RUNTIME_DIR: runtime } = environment
  // `su` and `sudo` may leave the variable of another user, who could exchange what lies there.
  if (!runtime?.startsWith('/') || flawOfParent(runtime) !== undefined) return [own]
  return [join(runtime, 'ratethrottle'), own]
}

/**
 * Makes the directory if need be.
 *
 * @throws Error with code CONTROL_UNTRUSTED unless it is this user's alone
 */
export function openDirectory(path: string): string {
  try {
    mkdirSync(path, { mode: PRIVATE })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw failed(path, codeOf(error))
  }
  const flaw = flawOfDirectory(path)
  if (flaw !== undefined) throw untrusted(path, flaw)
  return path
}

/** Why a directory is not this user's alone; `undefined` if it is. A link is not followed. */
export function flawOfDirectory(path: string): string | undefined {
  const found = lookOr(path)
  if (typeof found === 'string') return found
  if (!found.isDirectory()) return 'it is not a directory'
  if (!isOwn(found)) return `it belongs to user ${found.uid}, not to user ${process.geteuid?.()}`
  const mode = found.mode & 0o7777
  if ((mode & ~PRIVATE) === 0) return undefined
  return `its mode is 0${mode.toString(8)}, not 0${PRIVATE.toString(8)}`
}

/** Why files in a directory could be exchanged by other users; `undefined` if they could not. */
export function flawOfParent(path: string): string | undefined {
  const found = lookOr(path)
  if (typeof found === 'string') return found
  if (!found.isDirectory()) return 'it is not a directory'
  if (!isOwn(found) && found.uid !== 0) return `it belongs to user ${found.uid}`
  const isSticky = (found.mode & 0o1000) !== 0
  if ((found.mode & 0o022) === 0 || isSticky) return undefined
  return 'other users may write to it'
}

/** @throws Error with code CONTROL_UNTRUSTED if other users could exchange a file at this path */
export function checkParent(path: string): void {
  const parent = dirname(path)
  const flaw = flawOfParent(parent)
  if (flaw !== undefined) throw untrusted(parent, flaw)
}

/** Why what lies at a path is no socket that this user may trust; `undefined` if it is one. */
export function flawOfSocket(path: string): string | undefined {
  const found = lookOr(path)
  if (typeof found === 'string') return found
  if (!found.isSocket()) return 'it is not a socket'
  // Root may look after the processes of every user.
  if (isOwn(found) || process.geteuid?.() === 0) return undefined
  return `it belongs to user ${found.uid}, not to user ${process.geteuid?.()}`
}

/** The sockets of this user's processes, also those that no process listens on any more. */
export function findSockets(environment: NodeJS.ProcessEnv = process.env): Place[] {
  if (IS_WINDOWS) return pipes()
  const usable = directories(environment).filter((path) => flawOfDirectory(path) === undefined)
  return usable.flatMap((directory) =>
    socketsIn(directory).map(({ name, pid }) => ({ path: join(directory, name), pid })),
  )
}

/** The files of a directory that are named as sockets are. */
export function socketsIn(directory: string): { readonly name: string; readonly pid: number }[] {
  return readdirSync(directory).flatMap((name) => {
    const pid = SOCKET.exec(name)?.[1]
    return pid === undefined ? [] : [{ name, pid: Number(pid) }]
  })
}

function pipes(): Place[] {
  const names = readdirSync(PIPES).filter((name) => name.startsWith(PIPE))
  return names.map((name) => ({
    path: PIPES + name,
    pid: Number.parseInt(name.slice(PIPE.length), 10),
  }))
}

/** What lies at a path, links not followed. */
export function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

/** The same, or why that cannot be known. */
function lookOr(path: string): Stats | string {
  try {
    return look(path) ?? 'there is none'
  } catch (error) {
    return codeOf(error)
  }
}

function isOwn({ uid }: Stats): boolean {
  return uid === process.geteuid?.()
}

function untrusted(path: string, flaw: string): Error {
  return withCode(new Error(`${path} is not to be trusted: ${flaw}`), 'CONTROL_UNTRUSTED')
}

/** The error for a socket that could not be made. */
export function failed(path: string, reason: string): Error {
  return withCode(new Error(`no control socket at ${path}: ${reason}`), 'CONTROL_FAILED')
}

/** The code of a system's error. */
export function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' ? code : String(error)
}
