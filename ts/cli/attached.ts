import { readdirSync, readFileSync } from 'node:fs'

/** As the kernel names it also for who made the file, before it had its name. */
const DIRECTORY = '/ratethrottle-'

/**
 * The processes that have mapped a file of the shared directory, as far as this one may see them: not those
 * of other containers.
 */
export function attachedTo(inode: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => maps(pid, inode)).map(Number)
}

/** A line of `maps` is: addresses, rights, offset, device, inode, path. */
function maps(pid: string, inode: number): boolean {
  return read(`/proc/${pid}/maps`)
    .split('\n')
    .some((line) => {
      const [, , , , itsInode, path] = line.split(/\s+/)
      return itsInode === `${inode}` && path?.includes(DIRECTORY)
    })
}

/** Nothing of a process that is gone, or another user's. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
