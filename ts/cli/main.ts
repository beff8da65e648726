#!/usr/bin/env node
import { DONE, FAILED } from './command.ts'
import { call } from './run.ts'

// Who reads the output may have seen enough, as in `| head`: that ends quietly.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? DONE : FAILED)
})

call(process.argv.slice(2), process).then((code) => {
  process.exitCode = code
}, process.abort)
