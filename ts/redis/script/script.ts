import { createHash } from 'node:crypto'
import type { Algorithm } from '../../options.ts'
import { CENSUS } from './census.ts'
import { FIXED_WINDOW } from './fixed-window.ts'
import { GCRA } from './gcra.ts'
import { SLIDING_LOG } from './sliding-log.ts'
import { SLIDING_WINDOW } from './sliding-window.ts'

/** A script and the name by which a server that has seen it knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

const token = scriptOf(GCRA)
const SCRIPTS: Readonly<Record<Algorithm, Script>> = {
  'token-bucket': token,
  'leaky-bucket': token,
  'sliding-window': scriptOf(SLIDING_WINDOW),
  'sliding-log': scriptOf(SLIDING_LOG),
  'fixed-window': scriptOf(FIXED_WINDOW),
}

/** The script that decides for an algorithm. */
export function decidingScript(algorithm: Algorithm): Script {
  return SCRIPTS[algorithm]
}

/** The script that counts processes. */
export const CENSUS_SCRIPT: Script = scriptOf(CENSUS)

function scriptOf(text: string): Script {
  const trimmed = text.trim()
  return { text: trimmed, sha: createHash('sha1').update(trimmed).digest('hex') }
}
