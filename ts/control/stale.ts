import { join } from 'node:path'
import { flawOfSocket, look, socketsIn } from './directory.ts'
import { removeSocket } from './socket-file.ts'

/**
 * Removes a socket whose process has ended.
 *
 * A process that listens is found by connecting, whatever its number: it may live in another container.
 *
 * @returns whether the name is free now
 */
export async function removeIfStale(path: string): Promise<boolean> {
  const inode = look(path)?.ino
  if (inode === undefined) return true
  if (flawOfSocket(path) !== undefined || !(await isDeserted(path))) return false
  removeSocket(path, inode)
  return true
}

/** Removes all stale sockets of a directory, one after the other. */
export async function sweep(directory: string): Promise<void> {
  try {
    for (const { name } of socketsIn(directory)) await removeIfStale(join(directory, name))
  } catch {
    // The directory is gone: so are its sockets.
  }
}

/** Whether a connection is refused: then the process that listened has ended. */
function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule('node:net').connect(path)
    socket.unref()
    const end = (isRefused: boolean): void => {
      socket.destroy()
      resolve(isRefused)
    }
    socket.on('connect', () => end(false))
    socket.on('error', (error) => end('code' in error && error.code === 'ECONNREFUSED'))
  })
}
