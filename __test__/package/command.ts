import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Variables of this test run, which projects of users must not see. */
const env = { ...process.env, NODE_ENV: '', NODE_OPTIONS: '', NODE_PATH: '' }

/**
 * Runs a command in a folder, for at most two minutes.
 *
 * @returns what it printed
 * @throws Error with its output and `advice`
 */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  advice = '',
): Promise<string> {
  try {
    const ended = await promisify(execFile)(command, args, { cwd, env, timeout: 120_000 })
    return ended.stdout
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & Ended
    throw new Error([advice, message, stdout, stderr].filter(Boolean).join('\n'))
  }
}

/** The output of a failed command, on its error. */
interface Ended {
  readonly stdout?: string
  readonly stderr?: string
}

/** Runs npm; from its cache as far as that goes. */
export function npm(args: readonly string[], cwd: string): Promise<string> {
  // `npm run --silent` is handed down, and would silence the answer too.
  const flags = ['--loglevel=error', '--ignore-scripts', '--prefer-offline']
  const advice = 'npm failed: it needs a registry, or a cache that has seen these packages.'
  return run('npm', [...args, ...flags, '--no-audit', '--no-fund'], cwd, advice)
}
