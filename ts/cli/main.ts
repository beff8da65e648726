#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { printable } from '../validate.ts'
import { ascii, list, remove, show } from './shared.ts'

const USAGE = `Usage: ratethrottle shared list | show <name> | remove <name>

Shows the limiters that processes of this user share on this host.

  list            one line for each limiter: its limits, its processes, how full it is
  show <name>     everything about one limiter
  remove <name>   deletes a limiter, given its name or the name of its file, unless processes use it

  --json          prints list and show as JSON
  --help          prints this text
`

/** Exit codes: the command failed; the command is unknown. */
const FAILED = 1
const MISUSED = 2

process.exitCode = run(process.argv.slice(2))

function run(args: string[]): number {
  const command = parse(args)
  if (command === undefined) return MISUSED
  try {
    process.stdout.write(command())
    return 0
  } catch (error) {
    // The message may hold a file's name, which may hold anything.
    process.stderr.write(`${ascii(error instanceof Error ? error.message : String(error))}\n`)
    return FAILED
  }
}

function parse(args: string[]): (() => string) | undefined {
  try {
    const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    if (values.help === true || args.length === 0) return () => USAGE
    return commandOf(positionals, values.json === true)
  } catch (error) {
    return usageError(error instanceof Error ? printable(error.message) : '')
  }
}

function commandOf(words: string[], json: boolean): (() => string) | undefined {
  const [area, verb, name, ...rest] = words
  if (area === 'shared' && rest.length === 0) {
    if (verb === 'list' && name === undefined) return () => list(json)
    if (verb === 'show' && name !== undefined) return () => show(name, json)
    if (verb === 'remove' && name !== undefined) return () => remove(name)
  }
  return usageError(`unknown command ${printable(words.join(' '))}`)
}

function usageError(message: string): undefined {
  process.stderr.write(`${message}\n\n${USAGE}`)
}
