// Runs loom on the real table: node scripts/loom.mjs [preemptions]. 2 is CI's short bound; more takes longer.
// With --no-run it is only compiled.
import { spawnSync } from 'node:child_process'

const given = process.argv.slice(2)
const preemptions = given.find((word) => word !== '--no-run') ?? '2'
const args = ['test', '-p', 'ratethrottle-core', '--test', 'loom', '--profile', 'loom', '--locked']
if (given.includes('--no-run')) args.push('--no-run')
const env = {
  ...process.env,
  RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg loom`.trim(),
  LOOM_MAX_PREEMPTIONS: preemptions,
  // Its own folder: other flags in the shared one would rebuild everything twice.
  CARGO_TARGET_DIR: 'target/loom',
}
process.exitCode = spawnSync('cargo', args, { stdio: 'inherit', env }).status ?? 1
