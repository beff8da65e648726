import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const LANE = fileURLToPath(new URL('./lanes/instructions.mjs', import.meta.url))
/** What makes V8 compile, collect and hash the same way in each run. */
const REPEATABLE = ['--single-threaded', '--predictable', '--random-seed=1', '--hash-seed=1']
const INSTALL = 'valgrind is needed: apt-get install valgrind, or as this system installs packages'
const LIMIT_MS = 30 * 60_000

/**
 * Runs a lane under callgrind; answers the instructions of each round, per request. While the lane warms up nothing
 * is counted, which is several times as fast.
 */
export async function countInstructions(task, { node, env }) {
  const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-bench-'))
  try {
    const out = join(folder, 'part')
    const counting = join(folder, 'counting')
    // The lane calls getpriority, and nothing else does: each call begins a new file.
    const tool = ['--tool=callgrind', '--quiet', '--instr-atstart=no', '--dump-before=getpriority']
    const words = [...tool, `--callgrind-out-file=${out}`, node, ...REPEATABLE]
    const lane = [LANE, JSON.stringify({ ...task, counting })]
    await run('valgrind', [...words, ...lane], env, async (pid) => {
      await run('vgdb', [`--pid=${pid}`, 'instrumentation', 'on'], process.env)
      writeFileSync(counting, '')
    })
    return readParts(folder, task)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a lane as it is; answers how often it reads clocks, per request. */
export async function countClocks(task, { node, env }) {
  const text = await run(node, [LANE, JSON.stringify({ ...task, clocks: true })], env)
  return JSON.parse(text.trim().split('\n').at(-1))
}

/** `part.1` is what comes before the first round, then come the rounds; `part` itself is the end. */
function readParts(folder, { rounds, requests }) {
  const files = readdirSync(folder)
    .filter((name) => /^part\.\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
  const measured = files.slice(-rounds)
  if (files.length < rounds + 1) throw new Error(`callgrind wrote ${files.length} parts only`)
  return measured.map((name) => {
    const total = /^totals: (\d+)/m.exec(readFileSync(join(folder, name), 'utf8'))
    return Number(total[1]) / requests
  })
}

/** Answers what a program printed. Its first words are told at once, by the number of its process. */
function run(command, words, env, onFirstWords) {
  return new Promise((resolve, reject) => {
    const stdio = ['ignore', 'pipe', 'inherit']
    const child = spawn(command, words, { stdio, env, timeout: LIMIT_MS })
    let text = ''
    child.stdout.on('data', (data) => {
      if (text === '') onFirstWords?.(child.pid).catch(fail)
      text += data
    })
    child.on('error', (error) =>
      reject(error.code === 'ENOENT' && command === 'valgrind' ? new Error(INSTALL) : error),
    )
    child.on('close', (code, signal) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${signal ?? code}`)),
    )

    function fail(error) {
      child.kill()
      reject(error)
    }
  })
}

/** The test build of a tree's addon, which counts its readings of the clock. */
export function probeOf(tree) {
  const folder = join(tree, 'crate/napi/probe')
  const name = existsSync(folder) && readdirSync(folder).find((file) => file.endsWith('.node'))
  return name ? join(folder, name) : undefined
}
