// Runs loom on the real table: node scripts/loom.mjs [preemptions]. 2 is CI's short bound; more takes longer.
import { spawnSync } from 'node:child_process'

const preemptions = process.argv[2] ?? '2'
const args = ['test', '-p', 'ratethrottle-core', '--test', 'loom', '--profile', 'loom', '--locked']
const env = {
  ...process.env,
  RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg loom`.trim(),
  LOOM_MAX_PREEMPTIONS: preemptions,
  // Its own folder: other flags in the shared one would rebuild everything twice.
  CARGO_TARGET_DIR: 'target/loom',
}
process.exitCode = spawnSync('cargo', args, { stdio: 'inherit', env }).status ?? 1
