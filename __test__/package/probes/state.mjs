// node state.mjs: spends one budget of two through `import` and through `require`.
import { createRequire } from 'node:module'
import { RateLimiter } from 'ratethrottle'

const required = createRequire(import.meta.url)('ratethrottle')
const here = new RateLimiter('2/minute', { name: 'x' })
const there = new required.RateLimiter('2/minute', { name: 'x' })
console.log([here.allow('k'), there.allow('k'), here.allow('k'), there.allow('k')].join(' '))
