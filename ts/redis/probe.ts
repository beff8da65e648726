import { type Question, wordsOf } from './call.ts'
import { isScriptLost } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import { siblingName } from './key.ts'
import type { ServerBreaker } from './nodes.ts'

/** How long a probe's own commands may take until the script finds itself too late. */
const GIVEN_MS = 1_000

/**
 * Proves that the server does what calls like `question` need: all commands of their script, with a name
 * under the limiter's own prefix, in the slot of the call that failed. Leaves no count behind.
 */
export async function exercise(
  link: RedisConnection,
  question: Question,
  gate: ServerBreaker,
): Promise<void> {
  const { script, name, tail } = question
  const now = performance.now()
  const deadline = gate.skew.deadline(now + GIVEN_MS, now)
  const probe = siblingName(name, 'probe')
  const ask = async (op: Question['op'], amount: number): Promise<void> => {
    const args = ['1', probe, wordsOf(op, amount, deadline), ...tail]
    await link.evalsha(script.sha, ...args).catch((error: unknown) => {
      if (!isScriptLost(error)) throw error
      return link.eval(script.text, ...args)
    })
  }
  await ask('c', 1)
  await ask('d', 0)
}
