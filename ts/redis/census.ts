import { randomUUID } from 'node:crypto'
import type { Link } from './client.ts'
import { isScriptLost, StoreFailure } from './failure.ts'
import { sharedName } from './key.ts'
import { readNumbers } from './reply.ts'
import { CENSUS_SCRIPT } from './script/script.ts'
import type { Skew } from './skew.ts'

/** This process among all that share a Redis. */
const PROCESS_ID = randomUUID()
/** A process that was not heard of for so long is gone. */
const SILENCE_MS = 6_000

/** How often a process says that it lives. */
export const HEARTBEAT_MS = 2_000

/** Counts the processes that use one `keyPrefix`, by having each say that it lives. */
export class Census {
  /** The name of the count in Redis. */
  readonly name: string
  #seen = 0

  constructor(prefix: string) {
    this.name = sharedName(prefix, 'processes')
  }

  /** Processes seen last, this one included; 0 when they were never counted. */
  get processes(): number {
    return this.#seen
  }

  /** Says that this process lives, and counts. Rejects as the connection does. */
  async take(link: Link, skew: Skew): Promise<void> {
    const sentAt = performance.now()
    const [processes = 0, serverUs = 0] = await visit(link, this.name, false)
    skew.learn(sentAt, serverUs)
    this.#seen = processes
  }

  /** Says that this process is gone. */
  async leave(link: Link): Promise<void> {
    await visit(link, this.name, true)
  }
}

/** Proves that the server which holds `name` runs scripts and can be written to. */
export async function proveAlive(link: Link, name: string, skew: Skew): Promise<void> {
  const sentAt = performance.now()
  const [, serverUs = 0] = await visit(link, name, false)
  skew.learn(sentAt, serverUs)
}

async function visit(link: Link, name: string, leaves: boolean): Promise<readonly number[]> {
  const args = [1, name, PROCESS_ID, SILENCE_MS, leaves ? 1 : 0]
  const reply = await link.evalsha(CENSUS_SCRIPT.sha, ...args).catch((error: unknown) => {
    if (!isScriptLost(error)) throw error
    return link.eval(CENSUS_SCRIPT.text, ...args)
  })
  const numbers = readNumbers(reply)
  if (numbers === undefined) throw new StoreFailure('garbled')
  return numbers
}
