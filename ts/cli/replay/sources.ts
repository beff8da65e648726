import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip, type Gunzip } from 'node:zlib'
import { printable } from '../../validate.ts'

const CHUNK = 262_144
/** Compressed bytes that are unpacked at once: they may be a thousand times as many. */
const PIECE = 16_384

/** A log that is read from its beginning to its end. */
export class Source {
  /** The name as an operator may see it. */
  readonly name: string
  /** Bytes on the disk; 0 if it is not known. */
  readonly size: number
  /** Bytes read so far, before they were unpacked. */
  read = 0
  hasFailed = false
  readonly #raw: Readable
  readonly #chunks: AsyncIterator<Buffer>
  #isCancelled = false

  /** @param path a file, or `-` for standard input */
  constructor(path: string) {
    const isInput = path === '-'
    this.name = isInput ? 'standard input' : printable(path)
    this.size = isInput ? 0 : sizeOf(path)
    this.#raw = isInput ? process.stdin : createReadStream(path, { highWaterMark: CHUNK })
    this.#chunks = this.#unpacked()
  }

  /**
   * The next bytes, unpacked; undefined at the end.
   *
   * @throws Error that names the file
   */
  async next(): Promise<Buffer | undefined> {
    try {
      const { value, done } = await this.#chunks.next()
      return done === true ? undefined : value
    } catch (error) {
      if (this.#isCancelled) return undefined
      this.hasFailed = true
      throw new Error(`${this.name}: ${reasonOf(error)}`)
    }
  }

  /** Ends the source early: what is asked for next is its end. */
  cancel(): void {
    this.#isCancelled = true
    this.#raw.destroy()
  }

  async *#unpacked(): AsyncGenerator<Buffer, undefined> {
    let gunzip: Gunzip | undefined
    let isFirst = true
    for await (const chunk of this.#joined()) {
      if (isFirst && chunk[0] === 0x1f && chunk[1] === 0x8b) {
        gunzip = createGunzip({ chunkSize: CHUNK })
      }
      isFirst = false
      if (gunzip === undefined) yield chunk
      else yield* unpack(gunzip, chunk)
    }
    if (gunzip !== undefined) yield* unpack(gunzip, undefined)
    return undefined
  }

  /** The bytes as they are read, of which the first two come together. */
  async *#joined(): AsyncGenerator<Buffer, undefined> {
    let held: Buffer | undefined = Buffer.alloc(0)
    for await (const chunk of this.#raw as AsyncIterable<Buffer>) {
      this.read += chunk.length
      if (held === undefined) yield chunk
      else {
        held = Buffer.concat([held, chunk])
        if (held.length < 2) continue
        yield held
        held = undefined
      }
    }
    if (held !== undefined && held.length > 0) yield held
    return undefined
  }
}

function sizeOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat?.isFile() === true ? stat.size : 0
}

/**
 * Unpacks bytes, or the end. Not by a pipe: when a file ends in its middle, that would lose what has been unpacked
 * and not been read.
 */
async function* unpack(gunzip: Gunzip, bytes: Buffer | undefined): AsyncGenerator<Buffer> {
  const length = bytes?.length ?? 1
  for (let from = 0; from < length; from += PIECE) {
    const unpacked: Buffer[] = []
    const onData = (chunk: Buffer): unknown => unpacked.push(chunk)
    gunzip.on('data', onData)
    const error = await fed(gunzip, bytes?.subarray(from, from + PIECE))
    gunzip.off('data', onData)
    yield* unpacked
    if (error !== undefined) throw error
  }
}

/** Hands bytes to the stream, or ends it, and waits until all that they say has been given. */
function fed(gunzip: Gunzip, bytes: Buffer | undefined): Promise<Error | undefined> {
  return new Promise((resolve) => {
    gunzip.once('error', resolve)
    const done = (): void => {
      gunzip.off('error', resolve)
      resolve(undefined)
    }
    if (bytes === undefined) gunzip.once('end', done).end()
    else gunzip.write(bytes, done)
  })
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory; name its files',
  Z_BUF_ERROR: 'the compressed file ends in its middle',
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it cannot be read'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (Object.hasOwn(REASONS, code)) return REASONS[code] as string
  if (code.startsWith('Z_')) return 'the compressed file is damaged'
  return code === '' ? 'it cannot be read' : `it cannot be read (${code})`
}
