import { statSync } from 'node:fs'
import { type SharedEntry, sharedList, sharedRemove } from '../../native/binding.ts'
import { printable } from '../../validate.ts'
import { type Command, DONE, Failure, type Given, Misuse, messageOf, quoted } from '../command.ts'
import { columns, toJson } from '../text.ts'
import { attachedTo } from './attached.ts'
import { described, HEAD, lines, row } from './describe.ts'

/** `ratethrottle shared`: what processes of this user share on this host. */
export const shared: Command = {
  name: 'shared',
  forms: ['shared list', 'shared show NAME', 'shared remove NAME', 'shared prune'],
  summary: 'Shows the limiters and shields that processes of this user share on this host.',
  options: {},
  help: `  list            one line for each: its limits, its processes, how full it is
  show NAME       everything about one of them
  remove NAME     deletes one, given its name or the name of its file, unless processes use it
  prune           deletes files that are not to be trusted or of another version, unless processes use them
`,
  example: 'npx ratethrottle shared list',
  run: (given, { stdout }) => {
    stdout.write(actOf(given)())
    return DONE
  },
}

function actOf(given: Given): () => string {
  const [verb, name, ...rest] = given.words
  const isJson = given.has('json')
  if (rest.length === 0) {
    if (verb === 'list' && name === undefined) return () => list(isJson)
    if (verb === 'show' && name !== undefined) return () => show(name, isJson)
    if (verb === 'remove' && name !== undefined) return () => remove(name)
    if (verb === 'prune' && name === undefined) return prune
  }
  throw new Misuse(`unknown command ${quoted(['shared', ...given.words].join(' '))}`)
}

/** One line for each shared limiter or shield. */
function list(json: boolean): string {
  const entries = sharedList()
  if (json) return toJson(entries.map(described))
  if (entries.length === 0) return 'nothing is shared\n'
  return columns([HEAD, ...entries.map(row)])
}

/** Everything about the limiters and shields of a name: with other settings there may be several. */
function show(name: string, json: boolean): string {
  const found = named(name)
  if (json) return toJson(found.map(described))
  return found.map((entry) => columns(lines(entry))).join('\n')
}

/** Removes the limiters and shields of a name, and says which files were removed. */
function remove(name: string): string {
  const found = named(name)
  for (const { file } of found) sharedRemove(file)
  return found.map(({ file }) => `removed ${printable(file)}\n`).join('')
}

/** Removes the files that this version cannot use, unless processes have mapped them. */
function prune(): string {
  const unusable = sharedList().filter(({ table }) => table === undefined)
  const lines = unusable.map(({ file, flaw }) => {
    try {
      const pids = attachedTo(statSync(`/dev/shm/ratethrottle-${process.geteuid?.()}/${file}`).ino)
      if (pids.length > 0) return `kept ${printable(file)}: used by ${pids.join(' ')}\n`
      sharedRemove(file)
      return `removed ${printable(file)}: ${flaw}\n`
    } catch (error) {
      return `kept ${printable(file)}: ${messageOf(error)}\n`
    }
  })
  return lines.join('') || 'nothing to remove\n'
}

function named(name: string): SharedEntry[] {
  const found = sharedList().filter(({ file, table }) => file === name || table?.name === name)
  if (found.length > 0) return found
  throw new Failure(`nothing is shared as ${printable(name)}; "ratethrottle shared list" shows all`)
}
