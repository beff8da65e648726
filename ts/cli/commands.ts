import type { Command } from './command.ts'

/** Each command, loaded when it is called: in the order in which someone new would need them. */
export const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['replay', async () => (await import('./replay-command.ts')).replay],
  ['doctor', async () => (await import('./doctor/index.ts')).doctor],
  ['config', async () => (await import('./config.ts')).config],
  ['top', async () => (await import('./live/top.ts')).top],
  ['report', async () => (await import('./live/report.ts')).report],
  ['show', async () => (await import('./live/keys.ts')).show],
  ['block', async () => (await import('./live/keys.ts')).block],
  ['pardon', async () => (await import('./live/keys.ts')).pardon],
  ['reset', async () => (await import('./live/keys.ts')).reset],
  ['reload', async () => (await import('./live/reload.ts')).reload],
  ['shared', async () => (await import('./shared/index.ts')).shared],
  ['grafana', async () => (await import('./grafana.ts')).grafana],
])

/** What `ratethrottle` alone prints. */
export const GUIDE = `Usage: ratethrottle COMMAND [OPTIONS]

Before you turn a limit on:
  replay LOG --limits '100/minute'     whom it would have refused, from an access log
  doctor [FILE] [--url URL]            what is wrong with a setup, and what to write instead
  config check FILE                    whether a configuration file is right

While your service runs, with insight({ control: true }):
  top --watch                          what each limit does now
  show KEY                             what a key has left, and whether it is blocked
  block KEY 10m                        denies a key for a time
  pardon KEY                           ends its block
  reset KEY                            forgets what it has used
  reload                               has processes read their configuration files again
  report --since 1h                    what has been counted, also as --csv or --html

Besides:
  shared list                          limiters that processes share on this host
  grafana > board.json                 a dashboard
  config print FILE, config schema     a file as it is understood, and the schema of such files

"ratethrottle COMMAND --help" explains a command. Each takes --json.
Exit codes: 0 done, 1 failed or not found, 2 misused.
`
