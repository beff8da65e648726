import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installed, packed } from '../installed.mjs'
import { OURS } from '../peers/http-answers.mjs'
import { CASES, EMPTY, programOf } from '../peers/start-programs.mjs'
import { report } from '../progress.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns } from '../turns.mjs'
import { tables } from './start-tables.mjs'

const HERE = join(import.meta.dirname, '../..')
const RIVALS = ['@fastify/rate-limit', 'express-rate-limit', 'rate-limiter-flexible']
const runNode = promisify(execFile)

/** What it takes to load a package in a fresh process, and to have it on the disk. */
export const start = {
  name: 'start',
  cases: { ...CASES, size: [OURS, ...RIVALS] },
  rounds: 21,
  flags: ['tree'],
  run,
  tables,
}

async function* run({ cases, rounds, node, tree }) {
  for (const { name, subjects } of cases) {
    if (name === 'size') yield* subjects.map((subject) => sizeOf(subject))
    else yield* await runCase(name, subjects, { rounds, node, tree })
  }
}

async function runCase(name, subjects, { rounds, node, tree }) {
  const tasks = subjects.flatMap((subject) => tasksOf(name, subject, { node, tree }))
  report(`start ${name}: ${rounds} rounds of ${subjects.join(', ')}`)
  // The first start reads the files from the disk.
  for (const task of tasks) await time(task)
  const results = await takeTurns(tasks, rounds, time)
  const empty = results[tasks.findIndex(({ subject }) => subject === EMPTY)]
  const rows = []
  for (const [index, task] of tasks.entries()) {
    rows.push({ ...toRow(task, results[index], empty), ...(await count(task)) })
  }
  return rows
}

/** Ours also as built in the tree that `--tree` names. */
function tasksOf(name, subject, { node, tree }) {
  const own = { name, subject, label: subject, folder: HERE, node }
  const isOurs = subject === OURS || subject.startsWith(`${OURS}/`)
  return isOurs && tree ? [own, { ...own, label: `${subject}.baseline`, folder: tree }] : [own]
}

async function time(task) {
  const start = performance.now()
  const result = await runProgram(task, false)
  return { ...result, wholeMs: performance.now() - start }
}

const count = (task) => runProgram(task, true)

async function runProgram({ name, subject, folder, node }, isCounted) {
  const { stdout } = await runNode(node, programOf(name, subject, isCounted), { cwd: folder })
  return JSON.parse(stdout)
}

/** What a process takes besides is taken off round by round. */
function toRow({ name, label, subject }, result, empty) {
  const { median, min, max } = spread(result.map(({ ms }) => ms))
  const middle = (values) => round2(spread(values).median)
  const row = {
    suite: 'start',
    case: name,
    subject: label,
    ms: round2(median),
    min: round2(min),
    max: round2(max),
    cpuMs: middle(result.map(({ cpuMs }) => cpuMs)),
    builtins: result[0].builtins,
    rounds: result.length,
  }
  if (subject === EMPTY || empty === undefined) return row
  const over = result.map(({ wholeMs }, round) => wholeMs - empty[round].wholeMs)
  return { ...row, overEmptyMs: middle(over) }
}

function sizeOf(subject) {
  const { packages, files, bytes } = subject === OURS ? packed(HERE) : installed(HERE, subject)
  return { suite: 'start', case: 'size', subject, packages, files, bytes }
}
