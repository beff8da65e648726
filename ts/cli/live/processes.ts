import type { Answers, Command as Asked } from '../../control/answers.ts'
import { ask, type ControlRequest } from '../../control/client.ts'
import { findSockets } from '../../control/directory.ts'
import { Failure, type Given, Misuse } from '../command.ts'

/** Options that say which processes are asked. */
export const PROCESS_OPTIONS = {
  pid: { type: 'string' },
  socket: { type: 'string' },
} as const

/** Their help. */
export const PROCESS_HELP = `  --pid PID       asks this process alone. Default: all processes of this user that have a control socket
  --socket PATH   asks the process at this socket alone
`

/** A process that answers. */
export interface Process {
  readonly path: string
  readonly about: Answers['about']
}

/** Long enough for a process that is busy; one that has hung must not hold up the others for long. */
const HELLO_MS = 3_000

/**
 * The processes that are meant, of those that answer.
 *
 * @throws Failure if there is none
 */
export async function processes(given: Given): Promise<readonly Process[]> {
  const found = await reachable(given)
  if (found.length > 0) return found
  const { pid, socket } = selectionOf(given)
  if (socket !== undefined) await hello(socket)
  if (pid !== undefined) throw new Failure(`process ${pid} has no control socket, or is not yours`)
  throw new Failure(
    'no process of this user has a control socket; a process has one with insight({ control: true })',
  )
}

/** The same; none if there is none. */
export async function reachable(given: Given): Promise<readonly Process[]> {
  const { pid, socket } = selectionOf(given)
  const paths =
    socket !== undefined
      ? [socket]
      : findSockets().flatMap((place) =>
          pid === undefined || place.pid === pid ? [place.path] : [],
        )
  const asked = await Promise.allSettled(paths.map(hello))
  const found = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  return found.sort((a, b) => a.about.pid - b.about.pid)
}

async function hello(path: string): Promise<Process> {
  return { path, about: await ask(path, { command: 'about' }, HELLO_MS) }
}

function selectionOf(given: Given): { pid: number | undefined; socket: string | undefined } {
  const pid = given.value('pid')
  const socket = given.value('socket')
  if (pid !== undefined && socket !== undefined)
    throw new Misuse('give --pid or --socket, not both')
  if (pid !== undefined && !/^[1-9]\d{0,9}$/.test(pid)) throw new Misuse('--pid must be a number')
  return { pid: pid === undefined ? undefined : Number(pid), socket }
}

/** What a process answered, or why it did not. */
export interface Answered<T> {
  readonly pid: number
  readonly socket: string
  readonly answer?: T
  readonly error?: string
}

/** Asks each of the processes that are meant. One that fails does not keep the others from answering. */
export async function askEach<Name extends Asked>(
  found: readonly Process[],
  request: ControlRequest & { readonly command: Name },
): Promise<readonly Answered<Answers[Name]>[]> {
  return Promise.all(
    found.map(async ({ path, about: { pid } }) => {
      try {
        return { pid, socket: path, answer: await ask(path, request) }
      } catch (error) {
        return { pid, socket: path, error: error instanceof Error ? error.message : String(error) }
      }
    }),
  )
}
