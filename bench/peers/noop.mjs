import binding from '#binding'
import { syncLoops } from '../loop.mjs'

/** The empty native call: takes the key, reads nothing, answers a boolean. The floor under any native limiter. */
export function createNoop() {
  const take = binding.noop()
  return { take, ways: { direct: syncLoops(take) }, close() {}, decides: false }
}
