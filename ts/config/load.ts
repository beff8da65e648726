import { open, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { addLiveConfig } from '../live-configs.ts'
import * as validate from '../validate.ts'
import { Config, type Source } from './config.ts'
import { checkObject } from './define.ts'
import { isWrong, type Parsed, parseInTurns } from './read.ts'
import { ConfigError, type ConfigProblem, MAX_BYTES, Problems } from './tree.ts'
import type { LoadOptions } from './types.ts'
import { Watch } from './watch.ts'

const READERS: validate.Readers<Required<LoadOptions>> = {
  watch: (value = false, name) => validate.boolean(value, name),
  onReload: (value, name) => validate.optionalFunction(value, name),
  env: validate.optional(readEnvironment),
  signal: validate.optional((value, name) => validate.oneOf(value, name, ['SIGHUP'])),
}

function readEnvironment(value: unknown, name: string): NonNullable<LoadOptions['env']> {
  if (typeof value === 'object' && value !== null) return value as NonNullable<LoadOptions['env']>
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'an object such as process.env', value)
}

/**
 * Reads a configuration file, and keeps it live.
 *
 * ```ts
 * const config = await loadConfig('ratethrottle.config.json', { watch: true })
 * await app.register(rateThrottle, { config })
 * ```
 *
 * Never writes a file, and never goes on with defaults.
 *
 * @param path of a .json, .yaml or .yml file
 * @throws ConfigError with all that is wrong with it; TypeError or RangeError for wrong options
 */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<Config> {
  const file = resolve(validate.text(path, 'path', 1, 4_096))
  const { watch, onReload, env, signal } = validate.readOptions<Required<LoadOptions>>(
    options,
    READERS,
  )
  const watcher = new Watch(file, () => readBytes(file))
  const source: Source = {
    file: path,
    read: () => readFile(file, path, watcher),
    environment: () => env ?? process.env,
  }
  const content = await source.read()
  if (isWrong(content)) throw new ConfigError(content)
  const config = new Config(source, content, onReload)
  watcher.begin(config, { watch, signal })
  const forget = addLiveConfig(config)
  config.onClose(() => {
    watcher.end()
    forget()
  })
  return config
}

/** A configuration that a program has made. It never changes. */
export function openConfig(object: object): Config {
  const tree = checkObject(object)
  const content = { tree, text: '' }
  return new Config(
    { file: undefined, read: async () => content, environment: () => undefined },
    content,
    undefined,
  )
}

async function readFile(file: string, shown: string, watch: Watch): Promise<Parsed> {
  let bytes: Uint8Array
  try {
    bytes = await readBytes(file)
  } catch (error) {
    return [unreadable(error, shown)]
  }
  watch.note(bytes)
  return parseInTurns(bytes, shown)
}

/** No more of a file than is accepted: one byte more shows that it is too long. */
async function readBytes(file: string): Promise<Uint8Array> {
  // To open a pipe would wait for its writer.
  if (!(await stat(file)).isFile()) throw Object.assign(new Error(), { code: 'irregular' })
  const handle = await open(file, 'r')
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return buffer.subarray(0, length)
  } finally {
    await handle.close()
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
  irregular: 'it is no regular file',
}

/** What is wrong with a file that can't be read. It is not made: a typing error would look like a success. */
export function unreadable(error: unknown, shown: string): ConfigProblem {
  const code = String((error as { code?: unknown }).code ?? 'unknown')
  const reason = REASONS[code] ?? code
  const name = basename(shown)
  return new Problems(shown, '').at(
    -1,
    '',
    `the configuration ${validate.printable(name)} can't be read: ${reason}`,
  )
}
