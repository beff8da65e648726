// One of several processes with one insight: what one of them counts, all see, and one tells.
import { RateLimiter } from 'ratethrottle'
import { alerts, insight } from 'ratethrottle/insight'

const [name, isBusy] = process.argv.slice(2)
const watch = alerts({
  rules: [{ when: 'denied.share > 0.2', for: '5 seconds', min: 100 }],
  notify: ({ status }) => process.send(['told', status]),
})
const view = insight({ name, shared: true, alerts: watch })
const limiter = new RateLimiter('10/minute', { name: 'api', insight: view })
if (isBusy === 'true') for (let i = 0; i < 1_000; i++) limiter.allow('k')
const timer = setInterval(() => process.send(['status', watch.state().rules[0].status]), 100)
process.on('disconnect', () => {
  clearInterval(timer)
  view.close()
})
