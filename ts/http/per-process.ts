import cluster from 'node:cluster'
import type { Warnings } from './warning.ts'

/** Said once a process, not once a limiter: it is about the process. */
let isTold = false

/** Counters in the memory of one of several processes let each client pass as often as there are processes. */
export function warnOfSeveralProcesses(storage: unknown, warnings: Warnings): void {
  const isMemory = storage === undefined || String(storage).startsWith('memory')
  // PM2 numbers its processes; an app that runs once has the number 0.
  const { NODE_APP_INSTANCE = '0' } = process.env
  const isOneOfSeveral = cluster.isWorker || Number(NODE_APP_INSTANCE) > 0
  if (!isMemory || !isOneOfSeveral || isTold) return
  isTold = true
  warnings.warnOnce(
    'RATETHROTTLE_PER_PROCESS',
    'this is one of several processes and counts for itself: together they admit as many times the limit. ' +
      'Give them one storage, such as storage: "shared:api" or "redis://..."',
  )
}
