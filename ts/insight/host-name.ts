import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** What an insight shares its counts with: nothing, the threads of its process, or the processes of its host. */
export interface Memory {
  readonly name: string | undefined
  readonly shared: boolean
}

/**
 * Stands for all that count in one memory, which note the same counts: a word of 16 hex digits. The next process of a
 * host with the same number is another one.
 */
export function nameOfMemory({ name, shared }: Memory): string {
  if (name === undefined) return randomBytes(8).toString('hex')
  const boot = textOf('/proc/sys/kernel/random/boot_id')
  const owner = shared ? String(process.getuid?.()) : `${process.pid} ${startedAt()}`
  const text = [hostname(), boot, owner, name].join('\n')
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** When this process began, the same for all its threads. */
function startedAt(): string {
  const stat = textOf('/proc/self/stat')
  // The name of the program, which may have spaces and parentheses in it, ends with the last one.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  if (ticks !== undefined) return ticks
  const tens = (Date.now() / 1_000 - process.uptime()) / 10
  return String(Math.round(tens))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
