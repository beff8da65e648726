import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BARE } from '../peers/http-answers.mjs'

const LANE = fileURLToPath(new URL('../lanes/answers.mjs', import.meta.url))

/** A comparison with an answer by hand counts only where both send the same bytes. */
export async function assertSameBytes(cases, node) {
  const compared = cases.filter(({ subjects }) => subjects.includes(BARE))
  if (compared.length === 0) return
  await promisify(execFile)(node, [LANE, ...compared.map(({ name }) => name)])
}
