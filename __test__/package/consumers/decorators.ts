import { RateLimitExceeded } from 'ratethrottle'
import { limit } from 'ratethrottle/decorators'

class Mailer {
  @limit('2/minute')
  send(): string {
    return 'done'
  }
}

function attempt(mailer: Mailer): string {
  try {
    return mailer.send()
  } catch (error) {
    return error instanceof RateLimitExceeded ? error.name : String(error)
  }
}

const mailer = new Mailer()
console.log([attempt(mailer), attempt(mailer), attempt(mailer)].join(' '))
