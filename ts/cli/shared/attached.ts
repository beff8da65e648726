import { readdirSync, readFileSync } from 'node:fs'

/** Start of the paths in /proc/PID/maps: the process that creates a file maps it before it has its name. */
const MAPPED_PATH = '/ratethrottle-'

/** The processes that have mapped a shared file, except those in other containers, which /proc does not show. */
export function attachedTo(inode: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const hasMapped = (pid: string): boolean =>
    mapsOf(pid).some(
      ([, , , , mapped, path]) => mapped === `${inode}` && path?.includes(MAPPED_PATH),
    )
  return pids.filter(hasMapped).map(Number)
}

/**
 * The mapped files of a process: addresses, rights, offset, device, inode, path. None of one that has ended, or
 * that is another user's.
 */
function mapsOf(pid: string): string[][] {
  try {
    const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
    return lines.map((line) => line.split(/\s+/))
  } catch {
    return []
  }
}
