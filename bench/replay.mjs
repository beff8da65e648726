// How fast `ratethrottle replay` reads logs: npm run build:ts && node bench/replay.mjs [--lines 1000000] [--rounds 7]
//
// Whole processes, their start included, one after the other in each round: replay on a combined and on a JSON log, and
// for comparison two programs that only count requests by address and minute: awk, and a short one with node:readline and a
// Map. Prints the median of the rounds, and lines a second.
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36'
const SELF = fileURLToPath(import.meta.url)

const two = (value) => String(value).padStart(2, '0')

function clfTime(ms) {
  const at = new Date(ms)
  const clock = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(':')
  return `${two(at.getUTCDate())}/${MONTHS[at.getUTCMonth()]}/${at.getUTCFullYear()}:${clock} +0000`
}

/** The same requests as two logs: 20,000 clients, few of which make most requests, a hundred a second. */
function write(lines, files) {
  const out = Object.values(files).map((file) => openSync(file, 'w'))
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  let at = Date.UTC(2026, 10, 29)
  let parts = [[], []]
  for (let i = 0; i < lines; i++) {
    at += random() * 20
    const client = Math.floor(20_000 * random() ** 4)
    const ip = `10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`
    const url = ['/', `/api/items/${client}?page=${i % 9}`, '/login', '/static/app.js'][i % 4]
    parts[0].push(
      `${ip} - - [${clfTime(at)}] "GET ${url} HTTP/1.1" 200 5123 "https://example.com/" "${AGENT}"\n`,
    )
    const headers = { host: 'example.com', 'user-agent': AGENT }
    const req = { id: i, method: 'GET', url, headers, remoteAddress: ip, remotePort: 40_000 }
    const rest = { res: { statusCode: 200 }, responseTime: 12, msg: 'request completed' }
    const line = { level: 30, time: Math.floor(at), pid: 4021, hostname: 'web-1', req, ...rest }
    parts[1].push(`${JSON.stringify(line)}\n`)
    if (parts[0].length < 5_000 && i < lines - 1) continue
    for (const [index, file] of out.entries()) writeSync(file, parts[index].join(''))
    parts = [[], []]
  }
  for (const file of out) closeSync(file)
}

/** What one would write in ten minutes. */
async function countByReadline(file) {
  const counts = new Map()
  const pattern = /^(\S+) \S+ \S+ \[([^\]]{17})/
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [, ip, minute] = pattern.exec(line) ?? []
    const key = `${ip} ${minute}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  let most = 0
  for (const count of counts.values()) most = Math.max(most, count)
  console.log(most)
}

async function replay(args) {
  const module = new URL('../dist/cli/replay/index.js', import.meta.url)
  const { runReplay } = await import(module.href)
  const { stdout, stderr } = process
  process.exitCode = await runReplay(args, { stdout, stderr, isTty: false })
}

function timed(command, args) {
  const start = performance.now()
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
  return performance.now() - start
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

function measure(lines, rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-replay-'))
  try {
    const files = { combined: join(folder, 'access.log'), json: join(folder, 'app.json') }
    write(lines, files)
    const replayOf = (file, ...more) => [
      SELF,
      '--as',
      'replay',
      '--',
      file,
      '--limits',
      '100/minute',
      ...more,
    ]
    const awk = '{ n[$1 substr($4, 1, 18)]++ } END { for (k in n) if (n[k] > m) m = n[k]; print m }'
    const subjects = [
      ['replay, combined', process.execPath, replayOf(files.combined)],
      [
        'replay, combined, 4 limits',
        process.execPath,
        replayOf(
          files.combined,
          '--limits',
          '1000/hour',
          '--limits',
          '10/s',
          '--limits',
          '60/minute',
        ),
      ],
      ['replay, JSON (pino)', process.execPath, replayOf(files.json)],
      ['awk, counts only', 'awk', [awk, files.combined]],
      [
        'readline and Map, counts only',
        process.execPath,
        [SELF, '--as', 'readline', '--', files.combined],
      ],
    ]
    const times = subjects.map(() => [])
    for (let round = 0; round < rounds; round++) {
      for (const [index, [, command, args]] of subjects.entries()) {
        times[index].push(timed(command, args))
      }
    }
    console.log(`${lines} lines, median of ${rounds} rounds, node ${process.version}`)
    for (const [index, [name]] of subjects.entries()) {
      const ms = median(times[index])
      const speed = Math.round(lines / ms) * 1_000
      console.log(
        `${name.padEnd(30)} ${ms.toFixed(0).padStart(6)} ms ${String(speed).padStart(9)} lines/s`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === import.meta.url) {
  const options = { as: { type: 'string' }, lines: { type: 'string' }, rounds: { type: 'string' } }
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  if (values.as === 'replay') await replay(positionals)
  else if (values.as === 'readline') await countByReadline(positionals[0])
  else {
    execFileSync('awk', ['BEGIN { exit }'])
    measure(Number(values.lines ?? 1_000_000), Number(values.rounds ?? 7))
  }
}
