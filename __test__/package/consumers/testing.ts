import { FakeClock as Clock, RateLimiter } from 'ratethrottle'
import { FakeClock, testLimiter, timersClock } from 'ratethrottle/testing'

const clock = new FakeClock()
const limiter = new RateLimiter('1/minute', { clock })
const answers: boolean[] = [limiter.allow('k'), limiter.allow('k')]
clock.advance(60_000)
answers.push(limiter.allow('k'))
if (FakeClock === Clock && [testLimiter, timersClock].every(Boolean)) console.log(answers.join(' '))
