import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../redis/server.ts'

/** What `promtool check metrics` says about a text; nothing if it accepts it. */
export function promtoolSays(text: string): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  })
  if (error !== undefined) throw new Error(`${error.message}: install Debian's package prometheus`)
  return status === 0 ? '' : `${stdout}${stderr}` || `exit code ${status}`
}

/** A series that a query found, with its labels and its value. */
interface Found {
  readonly metric: {
    readonly job?: string
    readonly limit?: string
    readonly route?: string
    readonly policy?: string
  }
  readonly value: readonly [at: number, value: string]
}

/** What Prometheus answers to a query. */
interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: { readonly result: readonly Found[] }
}

/** A target that Prometheus scrapes. */
interface Target {
  readonly health: string
  readonly lastError: string
  readonly labels: { readonly job: string }
}

/** A Prometheus server of this host, which scrapes each of these paths of a port once a second. */
export class PrometheusServer {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #url: string

  private constructor(child: ChildProcess, folder: string, url: string) {
    this.#child = child
    this.#folder = folder
    this.#url = url
  }

  static async start(port: number, paths: readonly string[]): Promise<PrometheusServer> {
    const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-prometheus-'))
    const jobs = paths.map(
      (path) => `  - job_name: '${path.slice(1)}'
    metrics_path: '${path}'
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]`,
    )
    const config = `global: { scrape_interval: 1s }\nscrape_configs:\n${jobs.join('\n')}\n`
    writeFileSync(join(folder, 'prometheus.yml'), config)
    const own = await freePort()
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${own}`,
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    )
    await once(child, 'spawn')
    // If the test file ends early, no server outlives it.
    process.once('exit', () => child.kill('SIGKILL'))
    const server = new PrometheusServer(child, folder, `http://127.0.0.1:${own}`)
    await until(async () => (await fetch(`${server.#url}/-/ready`)).ok)
    return server
  }

  async query(expr: string): Promise<Answer> {
    const answer = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(expr)}`)
    return (await answer.json()) as Answer
  }

  async targets(): Promise<readonly Target[]> {
    const answer = await fetch(`${this.#url}/api/v1/targets`)
    const { data } = (await answer.json()) as { data: { activeTargets: readonly Target[] } }
    return data.activeTargets
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Asks until it holds, for at most half a minute. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await holds().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('did not come to hold within 30 s')
}
