#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { printable } from '../validate.ts'
import { ascii } from './ascii.ts'
import { list, remove, show } from './shared.ts'

const USAGE = `Usage: ratethrottle shared list | show <name> | remove <name>

Looks at the limiters that processes of this user share on this host.

  list            what there is, who is attached, how full it is
  show <name>     all there is to tell about one
  remove <name>   removes it, by its name or its file's, unless processes are attached to it

  --json          list and show as JSON
  --help          this text
`

/** What was asked for can't be had. */
const FAILED = 1
/** What was asked for is nothing this command knows. */
const MISUSED = 2

process.exitCode = run(process.argv.slice(2))

function run(given: string[]): number {
  const command = read(given)
  if (command === undefined) return MISUSED
  try {
    const text = command()
    process.stdout.write(text)
    return 0
  } catch (error) {
    // A path in it has a file's name, which may hold anything.
    process.stderr.write(`${ascii(error instanceof Error ? error.message : String(error))}\n`)
    return FAILED
  }
}

function read(given: string[]): (() => string) | undefined {
  try {
    const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args: given, options, allowPositionals: true })
    if (values.help === true || given.length === 0) return () => USAGE
    return choose(positionals, values.json === true)
  } catch (error) {
    return misused(error instanceof Error ? printable(error.message) : '')
  }
}

function choose([area, verb, name, ...rest]: string[], json: boolean): (() => string) | undefined {
  const what = [area, verb, name, ...rest].filter((word) => word !== undefined)
  if (area !== 'shared' || rest.length > 0) return misused(`what is ${printable(what.join(' '))}?`)
  if (verb === 'list' && name === undefined) return () => list(json)
  if (verb === 'show' && name !== undefined) return () => show(name, json)
  if (verb === 'remove' && name !== undefined) return () => remove(name)
  return misused(`what is ${printable(what.join(' '))}?`)
}

function misused(why: string): undefined {
  process.stderr.write(`${why}\n\n${USAGE}`)
}
