import { type Command, DONE, FAILED, Failure, type Given, Misuse, quoted } from '../command.ts'
import { PROCESS_HELP, PROCESS_OPTIONS } from '../live/processes.ts'
import { cell, type Style, styleOf, toJson } from '../text.ts'
import { clientFindings } from './client-rules.ts'
import { environmentDiagnosis, storageOf } from './environment-rules.ts'
import type { Diagnosis, Finding } from './finding.ts'
import { limitFindings } from './limit-rules.ts'
import { processDiagnosis } from './process-rules.ts'
import { type ReadSetup, readSetup } from './read-setup.ts'
import { redisDiagnosis } from './redis.ts'
import { urlDiagnosis } from './url-rules.ts'

/** `ratethrottle doctor`: what is wrong with a setup. */
export const doctor: Command = {
  name: 'doctor',
  forms: ['doctor [FILE] [--url URL] [--redis URL]'],
  summary:
    'Looks for limits that do not hold: in a file, the environment, running processes, Redis and a service.',
  options: { ...PROCESS_OPTIONS, url: { type: 'string' }, redis: { type: 'string' } },
  help: `  FILE            a configuration file
  --url URL       asks a service some twenty times: does it tell its limit, can a client forge its key?
  --redis URL     asks this Redis. Default: the storage of FILE, or else RATELIMIT_STORAGE_URL
${PROCESS_HELP}
  Exits with 1 if it finds something.`,
  example: 'npx ratethrottle doctor limits.json --url http://127.0.0.1:3000',
  run: async (given, { stdout }) => {
    const diagnosis = await diagnose(given)
    stdout.write(given.has('json') ? toJson(diagnosis) : textOf(diagnosis, styleOf(stdout)))
    return diagnosis.findings.length === 0 ? DONE : FAILED
  },
}

async function diagnose(given: Given): Promise<Diagnosis> {
  const [file, more] = given.words
  if (more !== undefined) throw new Misuse(`one word too many: ${quoted(more)}`)
  const read = file === undefined ? undefined : await readSetup(file, process.env)
  const setup = read?.setup
  const redis = given.value('redis') ?? storageOf(setup, process.env)
  const parts = await Promise.all([
    ...(read === undefined ? [] : [ofFile(read)]),
    environmentDiagnosis(setup, process.env),
    redisDiagnosis(redis),
    processDiagnosis(given),
    urlDiagnosis(given.value('url')),
    addonDiagnosis(),
  ])
  return {
    facts: parts.flatMap(({ facts }) => facts),
    findings: parts.flatMap(({ findings }) => findings),
  }
}

function ofFile({ setup, findings: errors }: ReadSetup): Diagnosis {
  const facts = setup.limiters.map(({ where, options }) => ({
    where,
    what:
      `limits ${shown(options.limits, 'none')}, ` +
      `key ${shown(options.key, 'as the program says')}, ` +
      `proxies ${shown(options.trust, 'as the framework says')}`,
  }))
  const findings = [...errors, ...setup.limiters.flatMap(limitFindings), ...clientFindings(setup)]
  return { facts, findings }
}

function shown(value: unknown, otherwise: string): string {
  return value === undefined ? otherwise : cell(JSON.stringify(value), 200)
}

/** Whether this package works here at all. */
async function addonDiagnosis(): Promise<Diagnosis> {
  try {
    await import('../../native/binding.ts')
    return { facts: [{ where: 'addon', what: 'loads' }], findings: [] }
  } catch (error) {
    const { message, code } = error as Error & { readonly code?: string }
    throw new Failure(`the native addon does not load (${code ?? 'no code'}): ${message}`)
  }
}

function textOf({ facts, findings }: Diagnosis, style: Style): string {
  const known = facts.map(({ where, what }) => `${where}: ${what}\n`).join('')
  if (findings.length === 0) return `${known}\nnothing was found\n`
  const problems = findings.filter(({ severity }) => severity === 'problem').length
  const head = `problems: ${problems}, warnings: ${findings.length - problems}\n`
  return `${known}\n${findings.map((each) => paragraph(each, style)).join('\n')}\n${head}`
}

function paragraph({ severity, code, where, what, why, instead }: Finding, style: Style): string {
  const paint = severity === 'problem' ? style.red : style.yellow
  return `${paint(severity.toUpperCase())} ${code}\n  ${where}: ${what}\n  why: ${why}\n  instead: ${instead}\n`
}
