import { type Command, MISUSED } from './command.ts'
import { runReplay } from './replay/index.ts'
import { isTerminal } from './text.ts'

/** `ratethrottle replay`: reads its words itself. */
export const replay: Command = {
  name: 'replay',
  forms: ['replay LOG... --limits LIMITS'],
  summary: 'Says whom limits would have refused, from access logs.',
  options: {},
  help: '',
  example: "npx ratethrottle replay access.log --limits '100/minute'",
  raw: (args, { stdout, stderr }) => runReplay(args, { stdout, stderr, isTty: isTerminal(stderr) }),
  run: () => MISUSED,
}
