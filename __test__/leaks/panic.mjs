// With the test build of the addon: a panic inside each function becomes an error, and the next call works.
import { createRequire } from 'node:module'
import { RateLimiter } from 'ratethrottle'

const binding = createRequire(import.meta.url)('../../crate/napi/binding.cjs')
const limiter = new RateLimiter('100/minute')
const uses = {
  allow: () => limiter.allow('k'),
  check: () => limiter.check('k'),
  peek: () => limiter.peek('k'),
  refund: () => limiter.refund('k'),
  reset: () => limiter.reset('k'),
  block: () => limiter.block('other', 1),
  stats: () => limiter.stats(),
}
for (const [name, use] of Object.entries(uses)) {
  use()
  binding.panicNext()
  try {
    use()
    console.log(`${name}: no error`)
  } catch (error) {
    use()
    console.log(`${name}: ${error.code}`)
  }
}
