import { createHash } from 'node:crypto'
import type { Algorithm } from '../../options.ts'
import { FIXED_WINDOW, VARIABLE_FIXED_WINDOW } from './fixed-window.ts'
import { GCRA, VARIABLE_GCRA } from './gcra.ts'
import { HEARTBEAT } from './heartbeat.ts'
import { SLIDING_LOG, VARIABLE_SLIDING_LOG } from './sliding-log.ts'
import { SLIDING_WINDOW, VARIABLE_SLIDING_WINDOW } from './sliding-window.ts'

/** A script, and the digest by which a server that has run it finds it again. */
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

const variableToken = scriptOf(VARIABLE_GCRA)
const VARIABLE_SCRIPTS: Readonly<Record<Algorithm, Script>> = {
  'token-bucket': variableToken,
  'leaky-bucket': variableToken,
  'sliding-window': scriptOf(VARIABLE_SLIDING_WINDOW),
  'sliding-log': scriptOf(VARIABLE_SLIDING_LOG),
  'fixed-window': scriptOf(VARIABLE_FIXED_WINDOW),
}

/** The script that decides for an algorithm. */
export function decidingScript(algorithm: Algorithm): Script {
  return SCRIPTS[algorithm]
}

/** The script that decides for an algorithm when limits change from call to call. */
export function variableScript(algorithm: Algorithm): Script {
  return VARIABLE_SCRIPTS[algorithm]
}

/** The script that counts processes. */
export const HEARTBEAT_SCRIPT: Script = scriptOf(HEARTBEAT)

function scriptOf(text: string): Script {
  const trimmed = text.trim()
  return { text: trimmed, sha: createHash('sha1').update(trimmed).digest('hex') }
}
