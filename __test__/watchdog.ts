/**
 * Ends the process of a test file that is still running after its limit, even if its own event loop is
 * blocked or its timers are faked: a run must end. Vitest then reports the file as failed.
 */
import { Worker } from 'node:worker_threads'

const { RATETHROTTLE_FILE_LIMIT_MS: LIMIT_MS = '300000' } = process.env

const watchdog = `
  const { writeSync } = require('node:fs')
  setTimeout(() => {
    writeSync(2, 'a test file is still running after ${LIMIT_MS} ms; its process is ended\\n')
    process.kill(process.pid, 'SIGKILL')
  }, ${LIMIT_MS})
`

new Worker(watchdog, { eval: true }).unref()
