import {
  chmodSync,
  linkSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { invalid } from '../validate.ts'
import { codeOf, failed, look } from './directory.ts'

/** The system's address of a socket has room for 108 bytes, 104 on macOS, with a zero behind them. */
const MAX_PATH = 103
/**
 * Clients that wait to be let in. They are let in all at once, in one turn of the event loop, and requests wait for
 * the end of it: so the system turns away those beyond it.
 */
const BACKLOG = 16
/** What mkdtemp appends, and the name in that directory. */
const WORKPLACE = '.new-'
const ROOM = '.new-XXXXXX/s'

/** A socket that listens, and has no name yet. */
export interface Unnamed {
  /** Gives it a name; `false` if something has that name. */
  give(name: string): boolean
  /** Ends it. */
  discard(): void
}

/**
 * Has the server listen on a socket file of this user alone, which gets its name only when all of that is true: so
 * a process that finds the name, finds a socket that listens, unless the process has ended.
 */
export function listenBeside(server: Server, path: string): Unnamed {
  const directory = dirname(path)
  const length = Math.max(Buffer.byteLength(path), Buffer.byteLength(join(directory, ROOM)))
  if (length > MAX_PATH) {
    const accepted = `a path of at most ${MAX_PATH} bytes, with "${ROOM}" in its directory`
    throw invalid(RangeError, 'INVALID_OPTION', 'control.path', accepted, path)
  }
  const workplace = workplaceIn(directory)
  const unnamed = join(workplace, 's')
  // In a worker of node:cluster the primary would listen otherwise, once for all workers.
  server.listen({ path: unnamed, exclusive: true, backlog: BACKLOG })
  if (!server.listening) {
    rmdirSync(workplace)
    throw failed(path, 'the system refused to listen there')
  }
  try {
    chmodSync(unnamed, 0o600)
  } catch (error) {
    throw failed(path, codeOf(error))
  }
  const tidy = (): void => rmSync(workplace, { recursive: true, force: true })
  return {
    give: (name) => {
      try {
        linkSync(unnamed, name)
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false
        throw failed(name, codeOf(error))
      }
      tidy()
      return true
    },
    discard: () => {
      server.close()
      tidy()
    },
  }
}

function workplaceIn(directory: string): string {
  try {
    return mkdtempSync(join(directory, WORKPLACE))
  } catch (error) {
    throw failed(directory, codeOf(error))
  }
}

/** Removes a socket file, if it still is the one with this inode. */
export function removeSocket(path: string, inode: number): void {
  try {
    if (look(path)?.ino !== inode) return
    // By another name first: meanwhile another process may have put its socket there.
    const aside = `${path}.${process.pid}`
    renameSync(path, aside)
    if (look(aside)?.ino !== inode) linkSync(aside, path)
    unlinkSync(aside)
  } catch {
    // It is gone, or stays: a later process of this user removes it.
  }
}
