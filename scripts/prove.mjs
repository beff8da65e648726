// The proof that the shared tier holds: npm run prove (about half an hour), npm run prove -- --short (CI).
// Runs the checks of crate/core/tests/shared for long, adds up the figures they print, and exits with 1 if
// any of them found anything. What each of them is stands in docs/internals/proof.md.
import { spawn, spawnSync } from 'node:child_process'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'

const CORE = ['test', '-p', 'ratethrottle-core', '--locked']
const SHARED = [...CORE, '--features', 'probe', '--test', 'shared']
const LONG = {
  PROVE_KILLS: '1000',
  PROVE_EXACT: '1250000',
  PROVE_CONTACT: '40000',
  PROVE_LABELS: '2000000',
  PROVE_HOSTILE: '3000000',
  PROVE_PERMIT_STEPS: '10000000',
}
const SHORT = { PROVE_KILLS: '100', PROVE_EXACT: '20000' }

const options = {
  short: { type: 'boolean', default: false },
  // Only the checks of the shared tier, without the protocol's model and loom.
  'shared-only': { type: 'boolean', default: false },
}
const { values } = parseArgs({ options })

const shared = (names, env) => ({
  name: `shared: ${names}`,
  args: [...SHARED, '--', '--nocapture', '--test-threads=1', names],
  env,
})
const CHECKS = [
  'storm',
  'permits',
  'exact',
  'contact',
  'dying',
  'stopping',
  'chain',
  'hostile',
  'trust',
  'log',
]
const steps = values.short
  ? CHECKS.map((name) => shared(name, SHORT))
  : [
      ...CHECKS.map((name) => shared(name, LONG)),
      {
        name: 'protocol model, every interleaving, and its mutants',
        args: [...CORE, '--release', '--test', 'protocol_model', '--', '--include-ignored'],
      },
      { name: 'loom, three preemptions', command: ['node', 'scripts/loom.mjs', '3'] },
      ...addressSanitizer(),
    ]

const figures = new Map()
let [passed, violations] = [0, 0]
const chosen = values['shared-only'] ? steps.filter(({ name }) => name.startsWith('shared')) : steps
for (const step of chosen) await run(step)
report()

/** Needs a nightly compiler; without one it is left out, and said so. */
function addressSanitizer() {
  const { status } = spawnSync('cargo', ['+nightly', '--version'])
  if (status !== 0) {
    console.log('== no nightly compiler here, so no run under the address sanitizer')
    return []
  }
  const target = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`
  const args = ['+nightly', ...SHARED, '--target', target, '--', '--nocapture', '--test-threads=1']
  const RUSTFLAGS = '-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer'
  const checks = ['hostile', 'dying', 'stopping', 'contact', 'chain', 'exact', 'trust']
  const env = { RUSTFLAGS, CARGO_TARGET_DIR: 'target/asan', PROVE_HOSTILE: '1000000' }
  return [{ name: 'address sanitizer', args: [...args, ...checks], env }]
}

function run({ name, args, command = ['cargo', ...args], env = {} }) {
  const started = Date.now()
  console.log(`== ${name}`)
  const [program, ...rest] = command
  const child = spawn(program, rest, { env: { ...process.env, ...env } })
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  child.stderr.on('data', (data) => process.stderr.write(data))
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const failed = count(out, code)
      if (failed > 0) console.log(out)
      violations += failed
      const seconds = Math.round((Date.now() - started) / 1000)
      console.log(`== ${name}: ${failed === 0 ? 'held' : `${failed} VIOLATED`}, ${seconds} s`)
      resolve()
    })
  })
}

/** Adds up what was printed. A run that ends badly without a failed test counts as one. */
function count(out, code) {
  for (const [, what, n] of out.matchAll(/^figure (.+): (\d+)$/gm)) {
    figures.set(what, (figures.get(what) ?? 0) + Number(n))
  }
  const results = [...out.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)]
  const sum = (column) => results.reduce((total, result) => total + Number(result[column]), 0)
  passed += sum(1)
  return Math.max(sum(2), code === 0 && sum(1) > 0 ? 0 : 1)
}

function report() {
  const n = (value) => value.toLocaleString('en')
  console.log(
    `\n${values.short ? 'short form' : 'long form'}, ${new Date().toISOString().slice(0, 10)}`,
  )
  console.log(`${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  for (const [what, total] of figures) console.log(`${n(total).padStart(16)}  ${what}`)
  console.log(`${n(passed).padStart(16)}  checks passed`)
  console.log(`${n(violations).padStart(16)}  violations found`)
  process.exitCode = violations === 0 ? 0 : 1
}
