import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { checkConfig } from '../../config/index.ts'
import { printable } from '../../validate.ts'
import { Failure } from '../command.ts'
import { cell } from '../text.ts'
import type { Finding } from './finding.ts'
import { type FileSetup, isObject, type Options, setupOf } from './setup.ts'

/** What a file says, and what its check finds. */
export interface ReadSetup {
  readonly setup: FileSetup
  readonly findings: readonly Finding[]
}

/**
 * Reads a configuration file for its mistakes. One with errors is looked at all the same, so that more can be said
 * of an option than that it is not accepted.
 *
 * @throws Failure if it cannot be read at all
 */
export async function readSetup(file: string, environment: NodeJS.ProcessEnv): Promise<ReadSetup> {
  const bytes = await readFile(file).catch((error: { readonly code?: string }) => {
    throw new Failure(`${printable(file)} cannot be read: ${error.code ?? 'it failed'}`)
  })
  const { errors, config } = checkConfig(bytes, file, { env: environment })
  const written = withValues(config, environment)
  if (!isObject(written)) {
    throw new Failure(
      errors.map(({ text }) => text).join('\n') || `${printable(file)} holds no object`,
    )
  }
  const where = cell(basename(file))
  const findings = errors.map(({ line, message }) => invalidFile(`${where}:${line}`, message))
  return { setup: setupOf(where, written as Options), findings }
}

function invalidFile(where: string, message: string): Finding {
  return {
    code: 'invalid-config',
    severity: 'problem',
    where,
    what: message,
    why: 'A service with this file does not start, and a running one keeps the limits that it has.',
    instead: 'what the message says; npx ratethrottle config check FILE shows all of them',
  }
}

const VARIABLE = /\$\{([A-Za-z_]\w*)(?::-([^{}]*))?\}/g

/** With the values of variables, which are looked at and never printed. */
function withValues(value: unknown, environment: NodeJS.ProcessEnv): unknown {
  if (typeof value === 'string') {
    return value.replace(
      VARIABLE,
      (_, name: string, otherwise = '') => environment[name] || otherwise,
    )
  }
  if (Array.isArray(value)) return value.map((each) => withValues(each, environment))
  if (!isObject(value)) return value
  const entries = Object.entries(value).map(([key, each]) => [key, withValues(each, environment)])
  return Object.fromEntries(entries)
}
