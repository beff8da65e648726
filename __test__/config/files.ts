import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, type LoadOptions, loadConfig } from 'ratethrottle/config'
import { afterEach } from 'vitest'

const opened: Config[] = []
const folders: string[] = []

afterEach(() => {
  for (const config of opened.splice(0)) config.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A folder that is removed after the test. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'ratethrottle-config-'))
  folders.push(made)
  return made
}

/** A file that a test may write again. */
export interface File {
  readonly path: string
  write(content: object | string): void
}

export function file(content: object | string, name = 'ratethrottle.config.json'): File {
  const path = join(folder(), name)
  const write = (next: object | string): void => {
    writeFileSync(path, typeof next === 'string' ? next : JSON.stringify(next, undefined, 2))
  }
  write(content)
  return { path, write }
}

/** A configuration that is closed after the test. */
export async function load(path: string, options?: LoadOptions): Promise<Config> {
  const config = await loadConfig(path, options)
  opened.push(config)
  return config
}

/** Waits until it holds, for three seconds at most. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000 && !holds(); i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  if (!holds()) throw new Error(`it does not hold: ${holds}`)
}
