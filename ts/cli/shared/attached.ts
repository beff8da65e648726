import { readdirSync, readFileSync } from 'node:fs'

/** Start of the paths in /proc/PID/maps: the process that creates a file maps it before it has its name. */
const MAPPED_PATH = '/ratethrottle-'

/** The processes that have mapped each shared file, by inode. Read once: /proc may have many, and so a list. */
let mapped: ReadonlyMap<string, readonly number[]> | undefined

/** The processes that have mapped a shared file, except those in other containers, which /proc does not show. */
export function attachedTo(inode: number): readonly number[] {
  mapped ??= readProcesses()
  return mapped.get(`${inode}`) ?? []
}

function readProcesses(): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const inode of new Set(mappedBy(pid))) {
      found.set(inode, [...(found.get(inode) ?? []), Number(pid)])
    }
  }
  return found
}

/** Inodes of the shared files that a process has mapped. None of one that has ended, or that is another user's. */
function mappedBy(pid: string): string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
    return lines.flatMap((line) => {
      if (!line.includes(MAPPED_PATH)) return []
      // Addresses, rights, offset, device, inode, path.
      const [, , , , inode = '', path] = line.split(/\s+/)
      return path?.includes(MAPPED_PATH) ? [inode] : []
    })
  } catch {
    return []
  }
}
