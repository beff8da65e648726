import {
  type AsyncLimiter,
  createLimiter,
  type Decision,
  FakeClock,
  parseLimits,
  RateLimitExceeded,
  RateLimiter,
  type RateLimiterOptions,
} from 'ratethrottle'

const options: RateLimiterOptions = { clock: new FakeClock(), algorithm: 'sliding-log' }
const limiter = new RateLimiter('2/minute', options)
const decision: Decision = limiter.check('user:42')
const answers: boolean[] = [decision.allowed, limiter.allow('user:42')]
try {
  limiter.consume('user:42')
} catch (error) {
  answers.push(!(error instanceof RateLimitExceeded))
}
const limits: number = parseLimits('1000/hour; 20/second').length
const created: AsyncLimiter = createLimiter({ limits: '100/minute', storage: 'memory:' })
void created.close()
if (limits === 2) console.log(answers.join(' '))
