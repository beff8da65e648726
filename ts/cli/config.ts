import { readFile } from 'node:fs/promises'
import { checkConfig, schema } from '../config/index.ts'
import { printable } from '../validate.ts'
import {
  type Command,
  DONE,
  FAILED,
  Failure,
  type Given,
  type Io,
  Misuse,
  quoted,
} from './command.ts'
import { ascii, toJson } from './text.ts'

/** `ratethrottle config`: files of limits, before a service reads them. */
export const config: Command = {
  name: 'config',
  forms: ['config check FILE', 'config print FILE', 'config schema'],
  summary: 'Checks a configuration file as a service would, and opens nothing.',
  options: {},
  help: `  check FILE      says what is wrong with it, with line and column; exits with 1 if something is
  print FILE      prints it as JSON, with variables as it names them
  schema          prints the JSON Schema of such files, for editors
`,
  example: 'npx ratethrottle config check ratethrottle.config.json',
  run: async (given, io) => {
    const [verb, file, more] = given.words
    if (more !== undefined) throw new Misuse(`one word too many: ${quoted(more)}`)
    if (verb === 'schema' && file === undefined) {
      io.stdout.write(toJson(schema()))
      return DONE
    }
    if (verb !== 'check' && verb !== 'print') {
      throw new Misuse(
        verb === undefined
          ? 'check, print or schema is missing'
          : `unknown command ${quoted(`config ${verb}`)}`,
      )
    }
    if (file === undefined) throw new Misuse('FILE is missing')
    return verb === 'check' ? check(file, given, io) : print(file, io)
  },
}

async function check(file: string, given: Given, { stdout, stderr }: Io): Promise<number> {
  const { ok, errors, warnings } = await read(file)
  if (given.has('json')) stdout.write(toJson({ ok, errors, warnings }))
  else {
    for (const { text } of errors) stderr.write(`${lines(text)}\n`)
    for (const { text } of warnings) stderr.write(`warning: ${lines(text)}\n`)
    if (ok) stdout.write(`${printable(file)} is right\n`)
  }
  return ok ? DONE : FAILED
}

async function print(file: string, { stdout, stderr }: Io): Promise<number> {
  const { ok, errors, config: found } = await read(file)
  for (const { text } of errors) stderr.write(`${lines(text)}\n`)
  if (found !== undefined) stdout.write(toJson(found))
  return ok ? DONE : FAILED
}

async function read(file: string): Promise<ReturnType<typeof checkConfig>> {
  const bytes = await readFile(file).catch((error: { readonly code?: string }) => {
    throw new Failure(`${printable(file)} cannot be read: ${error.code ?? 'it failed'}`)
  })
  return checkConfig(bytes, file)
}

function lines(text: string): string {
  return text.split('\n').map(ascii).join('\n')
}
