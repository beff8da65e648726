import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Milliseconds between two admissions, see pacer.mjs. */
const GAP_MS = 50

/** Two processes wait several times each for one key. When the waits began and ended, in milliseconds. */
export async function collect(
  storage: string,
  waits: number,
): Promise<{ readonly began: number; readonly times: readonly number[]; readonly gapMs: number }> {
  const children = [0, 1].map(() => start(storage, waits))
  await Promise.all(children.map(({ ready }) => ready))
  for (const { go } of children) go()
  const all = await Promise.all(children.map(({ done }) => done))
  const began = Math.min(...all.map(([first = Number.NaN]) => first))
  const times = all.flatMap(([, ...own]) => own)
  return { began, times: times.sort((a, b) => a - b), gapMs: GAP_MS }
}

function start(storage: string, waits: number) {
  const file = join(process.cwd(), '__test__/wait-queue/pacer.mjs')
  const child = spawn(process.execPath, [file, storage, String(waits), String(GAP_MS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 200_000,
  })
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  return {
    ready: once(child.stdout, 'data'),
    go: () => child.stdin.end('go'),
    done: once(child, 'close').then(() => JSON.parse(out.split('\n')[1] || '[]') as number[]),
  }
}
