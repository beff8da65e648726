import {
  type Command,
  DONE,
  FAILED,
  helpOf,
  type Io,
  MISUSED,
  Misuse,
  messageOf,
  nearest,
  quoted,
  readWords,
} from './command.ts'
import { COMMANDS, GUIDE } from './commands.ts'

/**
 * Does what the words say.
 *
 * @returns the exit code. Never rejects
 */
export async function call([name, ...args]: readonly string[], io: Io): Promise<number> {
  try {
    return await obey(name, args, io)
  } catch (error) {
    io.stderr.write(`${messageOf(error)}\n`)
    return FAILED
  }
}

async function obey(name: string | undefined, args: string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const command = args[0] === undefined ? undefined : COMMANDS.get(args[0])
    if (command !== undefined) return run(await command(), ['--help'], io)
    io.stdout.write(GUIDE)
    return DONE
  }
  const load = COMMANDS.get(name)
  if (load === undefined) return unknown(name, io)
  return run(await load(), args, io)
}

async function run(command: Command, args: string[], io: Io): Promise<number> {
  try {
    if (command.raw !== undefined) return await command.raw(args, io)
    const given = readWords(command, args)
    if (given.has('help')) {
      io.stdout.write(helpOf(command))
      return DONE
    }
    return await command.run(given, io)
  } catch (error) {
    if (!(error instanceof Misuse)) {
      io.stderr.write(`${messageOf(error)}\n`)
      return FAILED
    }
    io.stderr.write(`${messageOf(error)}\n\n${helpOf(command)}`)
    return MISUSED
  }
}

function unknown(name: string, io: Io): number {
  const closest = nearest(name, [...COMMANDS.keys()])
  const hint = closest === undefined ? '' : `; did you mean ${closest}?`
  io.stderr.write(`unknown command ${quoted(name)}${hint}\n\n${GUIDE}`)
  return MISUSED
}
