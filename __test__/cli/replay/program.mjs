// `ratethrottle replay`, until the end of its output: [TTY=1] node program.mjs <arguments>
import { runReplay } from '../../../dist/cli/replay/index.js'

const { stdout, stderr } = process
process.exitCode = await runReplay(process.argv.slice(2), {
  stdout,
  stderr,
  isTty: process.env.TTY === '1',
})
