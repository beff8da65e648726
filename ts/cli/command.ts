import type { Writable } from 'node:stream'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { closestTo } from '../validate.ts'
import { ascii } from './text.ts'

/** Exit codes: done; it failed, or there is no such thing; the words make no sense. */
export const DONE = 0
export const FAILED = 1
export const MISUSED = 2

/** Where a command prints. */
export interface Io {
  readonly stdout: Writable
  readonly stderr: Writable
}

/** What a command was given. */
export interface Given {
  readonly words: readonly string[]
  /** A switch that was given. */
  has(name: string): boolean
  /** The value of an option, if it was given. */
  value(name: string): string | undefined
}

/** A command of `npx ratethrottle`. */
export interface Command {
  readonly name: string
  /** Its words and options, such as `block KEY TIME`, one line for each form. */
  readonly forms: readonly string[]
  /** What it does, in one line. */
  readonly summary: string
  /** Options besides `--help` and `--json`. */
  readonly options: NonNullable<ParseArgsConfig['options']>
  /** Each option and word, explained. */
  readonly help: string
  /** A call that a reader can try. */
  readonly example: string
  /** Reads its words itself, also `--help`. */
  raw?(args: string[], io: Io): Promise<number>
  /** @returns the exit code */
  run(given: Given, io: Io): number | Promise<number>
}

/** Words that make no sense: the command's help goes to stderr. */
export class Misuse extends Error {}

/** Something that failed: its message alone goes to stderr. */
export class Failure extends Error {}

/**
 * Reads the words behind the name of a command.
 *
 * @throws Misuse for an unknown option
 */
export function readWords(command: Command, args: readonly string[]): Given {
  const options = {
    ...command.options,
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
    })
    const all: Readonly<Record<string, unknown>> = values
    return {
      words: positionals,
      has: (name) => all[name] === true,
      value: (name) => {
        const value = all[name]
        return typeof value === 'string' ? value : undefined
      },
    }
  } catch (error) {
    throw new Misuse(misusedOption(error, Object.keys(options)))
  }
}

/** What is wrong with an option: what `parseArgs` says of a misspelt one does not help. */
export function misusedOption(error: unknown, known: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error)
  const given = /^Unknown option '(-+([^']*))'/.exec(message)
  if (given === null) return message
  const closest = nearest(given[2] ?? '', known)
  const hint = closest === undefined ? '' : `; did you mean --${closest}?`
  return `unknown option ${quoted(given[1])}${hint}`
}

/** The name that was meant: also one of which the beginning was written, or two letters were exchanged. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const letters = (text: string): string => [...text].sort().join('')
  const begun = name.length > 1 ? known.find((one) => one.startsWith(name)) : undefined
  return begun ?? closestTo(name, known) ?? known.find((one) => letters(one) === letters(name))
}

/** The help of one command. */
export function helpOf({ forms, summary, help, example }: Command): string {
  const lines = forms.map((form, i) => `${i === 0 ? 'Usage: ' : '       '}ratethrottle ${form}`)
  return `${lines.join('\n')}\n\n${summary}\n\n${help}
  --json          prints JSON
  --help          prints this text

Example:
  ${example}
`
}

/** The words of a command, of which there must be this many. */
export function wordsOf({ words }: Given, count: number, names: string): readonly string[] {
  if (words.length === count) return words
  throw new Misuse(
    words.length < count ? `${names} is missing` : `one word too many: ${quoted(words[count])}`,
  )
}

/** A word from the command line, in a message. */
export function quoted(word: string | undefined): string {
  return `"${ascii(word ?? '').slice(0, 64)}"`
}

/** The message of an error, safe to print: it may hold a file's name, which may hold anything. */
export function messageOf(error: unknown): string {
  return ascii(error instanceof Error ? error.message : String(error))
}
