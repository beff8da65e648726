// Proves the fault tests: npm run prove:faults
//
// Every test of __test__/faults names a row of the list of faults of 29 November 2026, such as "U7: ...". This
// runs them in a worktree of the commit the faults were found in, where each has to fail by its own assertion,
// and in this tree, where each has to pass. It prints a table, and exits with 1 if one does not.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'

const FOUND_IN = '73a7a4e'
const TESTS = '__test__/faults'
const LIMIT_SECONDS = 1_500
const COUNTS = { U: 11, G: 15, T: 15, F: 12 }
const ROWS = Object.entries(COUNTS).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
)

const here = process.cwd()
const scratch = mkdtempSync(join(tmpdir(), 'ratethrottle-faults-'))
const then = resolve(process.env.RATETHROTTLE_FAULTS_TREE ?? join(scratch, 'tree'))
const filters = process.argv.slice(2)

function run(cwd, command, ...args) {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}`)
}

/** The tree of that commit, built: RATETHROTTLE_FAULTS_TREE names one that is there already. */
function prepareTree() {
  if (!existsSync(join(then, 'package.json'))) {
    console.error(`building ${FOUND_IN}: about two minutes`)
    run(here, 'git', 'worktree', 'add', '--detach', then, FOUND_IN)
    run(then, 'npm', 'ci')
    run(then, 'npm', 'run', 'build:probe')
  }
  rmSync(join(then, TESTS), { recursive: true, force: true })
  cpSync(join(here, TESTS), join(then, TESTS), { recursive: true })
}

/** Title of each test → its outcome: 'passed', or the first line of why not. */
function outcomesIn(tree) {
  const report = join(scratch, `${tree === here ? 'now' : 'then'}.json`)
  const files = filters.length === 0 ? [TESTS] : filters.map((filter) => `${TESTS}/${filter}`)
  const vitest = ['vitest', 'run', ...files, '--reporter=default', '--reporter=json']
  const bounded = [join(here, 'scripts/within.mjs'), String(LIMIT_SECONDS), 'npx', ...vitest]
  const output = ['--typecheck.enabled=false', `--outputFile.json=${report}`]
  spawnSync('node', [...bounded, ...output], { cwd: tree, stdio: ['ignore', 2, 2] })
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
  return new Map(testResults.flatMap((file) => outcomesOf(file, tree)))
}

function outcomesOf({ name, message, assertionResults }, tree) {
  const file = relative(join(tree, TESTS), name)
  if (assertionResults.length === 0) return [[`${file} › (the file)`, firstLine(message)]]
  return assertionResults.map(({ fullName, status, failureMessages }) => [
    `${file} › ${fullName}`,
    status === 'passed' ? 'passed' : firstLine(failureMessages[0] ?? status),
  ])
}

function firstLine(text) {
  return text.split('\n', 1)[0].slice(0, 100)
}

function rowsOf(title) {
  return title.match(/\b[UGTF]\d+\b(?=[^:]*: )/g) ?? []
}

try {
  prepareTree()
  const before = outcomesIn(then)
  const now = outcomesIn(here)
  const faults = []
  for (const [title, outcome] of now) {
    const old = before.get(title) ?? 'not run'
    const isProved = outcome === 'passed' && old.startsWith('AssertionError')
    if (!isProved) faults.push(title)
    console.log(`| ${isProved ? 'proved' : 'NOT PROVED'} | ${title} | ${old} | ${outcome} |`)
  }
  const covered = new Set([...now.keys()].flatMap(rowsOf))
  const uncovered = filters.length === 0 ? ROWS.filter((row) => !covered.has(row)) : []
  console.log(`${now.size - faults.length} proved, ${faults.length} not proved`)
  console.log(`rows without a test: ${uncovered.join(', ') || 'none'}`)
  process.exitCode = faults.length + uncovered.length === 0 ? 0 : 1
} finally {
  if (process.env.RATETHROTTLE_FAULTS_TREE === undefined) {
    spawnSync('git', ['worktree', 'remove', '--force', then], { cwd: here, stdio: 'ignore' })
  }
  rmSync(scratch, { recursive: true, force: true })
}
