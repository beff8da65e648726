// Breaks the code on purpose, one line at a time, and says which checks notice:
//
//   npm run prove:mutants                   all of them
//   npm run prove:mutants -- rust           those of the core; typescript: those of the TypeScript layer
//   npm run prove:mutants -- word ...       those whose name contains one of the words
//   npm run lint:mutants                    breaks nothing: says whether each still has its line and its tests
//
// Works on a copy. A mutant that no check notices makes it exit with 1; docs/internals/proof.md lists the known ones.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MUTANTS as RUST } from './mutants/rust.mjs'
import { MUTANTS as TYPESCRIPT } from './mutants/typescript.mjs'

const COPY = join(tmpdir(), `ratethrottle-mutants-${process.pid}`)
/** On a busy machine more than the default is needed: a run that has not ended in time says nothing about the checks. */
const LIMIT_MS = Number(process.env.PROVE_MUTANT_MS ?? 240_000)
/** A mutant need not have right types, only to be parsed. */
const TSC = ['tsc', '-p', 'tsconfig.json', '--noCheck']
const KINDS = {
  rust: { mutants: RUST, kill: killRust },
  typescript: { mutants: TYPESCRIPT, kill: killTypeScript },
}

/** How cargo runs loom, see scripts/loom.mjs. */
const LOOM = [
  ['--profile', 'loom'],
  { RUSTFLAGS: '--cfg loom', LOOM_MAX_PREEMPTIONS: '3', CARGO_TARGET_DIR: 'target/loom' },
]

/** Files and folders that a mutant is built from and tested with. */
const PARTS = {
  rust: ['crate', 'Cargo.toml', 'Cargo.lock'],
  typescript: [
    'ts',
    '__test__',
    'examples',
    'docs',
    'scripts',
    'package.json',
    'tsconfig.json',
    'vitest.config.mts',
    'README.md',
    'crate',
  ],
}

function copy(kind) {
  mkdirSync(COPY, { recursive: true })
  for (const part of PARTS[kind]) cpSync(part, join(COPY, part), { recursive: true })
  const modules = join(COPY, 'node_modules')
  if (!existsSync(modules)) symlinkSync(join(process.cwd(), 'node_modules'), modules)
}

/** Breaks the line in the copy, and returns what repairs it. */
function breakLine({ name, file, from, to }) {
  const path = join(COPY, file)
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${name}: ${file} has no line ${from}`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
  return () => writeFileSync(path, text)
}

function run(command, args, env = {}) {
  const options = {
    env: { ...process.env, ...env },
    cwd: COPY,
    encoding: 'utf8',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  }
  return spawnSync(command, args, { ...options, maxBuffer: 2 ** 28 })
}

/** Names of the tests that failed; nothing where the mutant survived. */
function killRust({ name, tests = 'shared', only }) {
  const [kind, env] = tests === 'loom' ? LOOM : [['--features', 'probe'], {}]
  // Those of one file of `tests/`, or those beside the code.
  const which = tests === 'lib' ? ['--lib'] : ['--test', tests]
  const args = ['test', '-p', 'ratethrottle-core', ...kind, ...which]
  const { stdout, status, signal } = run('cargo', only === undefined ? args : [...args, only], env)
  if (status === 0) return []
  const noticed = [...stdout.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map(([, test]) => test)
  if (noticed.length > 0) return noticed
  if (stdout.includes('running')) return ['the process ended']
  if (signal !== null) return [signal]
  throw new Error(`${name}: does not compile`)
}

function killTypeScript({ name, tests }) {
  const { status: built, stdout: errors } = run('npx', TSC)
  if (built !== 0) throw new Error(`${name}: does not compile\n${errors}`)
  const args = [
    'vitest',
    'run',
    ...tests,
    '--bail=1',
    '--reporter=json',
    '--typecheck.enabled=false',
  ]
  const { status, stdout, signal } = run('npx', args)
  if (status === 0) return []
  if (signal !== null) return ['the run did not end']
  const report = JSON.parse(stdout.slice(stdout.indexOf('{"num')))
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = results.filter(({ status: outcome }) => outcome === 'failed')
  return failed.length === 0 ? ['the file failed'] : failed.map(({ fullName }) => fullName)
}

/** Lines and tests that mutants name and that are gone: code moves, and its mutants are left behind. */
function stale() {
  return Object.values(KINDS).flatMap(({ mutants }) =>
    mutants.flatMap(({ name, file, from, tests }) => {
      const missing = Array.isArray(tests) ? tests.filter((path) => !existsSync(path)) : []
      const has = readFileSync(file, 'utf8').includes(from)
      return [...missing, ...(has ? [] : [`${file}: ${from}`])].map((what) => `${name}: ${what}`)
    }),
  )
}

const gone = stale()
if (gone.length > 0) {
  console.error(`mutants name what is gone:\n${gone.join('\n')}`)
  process.exit(1)
}
const words = process.argv.slice(2)
if (words.includes('--check')) process.exit(0)
process.on('exit', () => rmSync(COPY, { recursive: true, force: true }))
const kinds = Object.keys(KINDS).filter((kind) => words.includes(kind))
const parts = words.filter((word) => !(word in KINDS))
let survivors = 0
for (const kind of kinds.length === 0 ? Object.keys(KINDS) : kinds) {
  const { mutants, kill } = KINDS[kind]
  copy(kind)
  for (const mutant of mutants) {
    if (parts.length > 0 && !parts.some((word) => mutant.name.includes(word))) continue
    const repair = breakLine(mutant)
    const noticed = kill(mutant)
    repair()
    const isSurvivor = noticed.length === 0 && mutant.survives === undefined
    if (isSurvivor) survivors++
    const why = mutant.survives === undefined ? 'SURVIVED' : `survives: ${mutant.survives}`
    console.log(`| ${mutant.name} | ${noticed.join(', ') || why} |`)
  }
}
process.exitCode = survivors === 0 ? 0 : 1
