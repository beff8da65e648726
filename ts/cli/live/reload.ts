import { type Command, DONE, FAILED, wordsOf } from '../command.ts'
import { cell, columns, toJson } from '../text.ts'
import { askEach, PROCESS_HELP, PROCESS_OPTIONS, processes } from './processes.ts'

/** `ratethrottle reload`: has processes read their configuration files again. */
export const reload: Command = {
  name: 'reload',
  forms: ['reload'],
  summary:
    'Has the running processes read their configuration files again. A file with an error changes nothing.',
  options: PROCESS_OPTIONS,
  help: PROCESS_HELP,
  example: 'npx ratethrottle config check limits.yaml && npx ratethrottle reload',
  run: async (given, { stdout }) => {
    wordsOf(given, 0, '')
    const found = await processes(given)
    const reloading = found.filter(({ about }) => about.reloads)
    // A process whose limits stand in its program has nothing to read; if no other is there, that is said.
    const answers = await askEach(reloading.length > 0 ? reloading : found, { command: 'reload' })
    if (given.has('json')) stdout.write(toJson(answers))
    else stdout.write(columns(answers.map((each) => [`${each.pid}`, outcome(each)])))
    return answers.every(isDone) ? DONE : FAILED
  },
}

interface Problem {
  readonly file?: unknown
  readonly line?: unknown
  readonly column?: unknown
  readonly message?: unknown
}

interface Reloaded {
  readonly answer?: object
  readonly error?: string
}

function isDone({ answer }: Reloaded): boolean {
  return answer !== undefined && (answer as { readonly ok?: unknown }).ok !== false
}

function outcome(each: Reloaded): string {
  if (each.error !== undefined) return `failed: ${cell(each.error, 500)}`
  if (isDone(each)) return 'reloaded'
  const { errors } = each.answer as { readonly errors?: unknown }
  const texts = Array.isArray(errors) ? errors.map(textOf) : []
  return `refused, the limits stay as they are: ${cell(texts.join('; '), 500)}`
}

function textOf(error: unknown): string {
  if (typeof error === 'string') return error
  const { file, line, column, message } = (error ?? {}) as Problem
  return file === undefined ? String(message) : `${file}:${line}:${column}: ${message}`
}
