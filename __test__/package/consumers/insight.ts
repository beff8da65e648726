import { FakeClock, RateLimiter } from 'ratethrottle'
import { type Insight, type InsightOptions, insight, type Report } from 'ratethrottle/insight'

const clock = new FakeClock()
const options: InsightOptions = { keys: 'mask', top: 10, clock }
const view: Insight = insight(options)
const limiter = new RateLimiter('2/minute', { name: 'api', insight: view, clock })

function main(): void {
  for (let i = 0; i < 3; i++) limiter.allow('192.0.2.1')
  const report: Report = view.report({ since: '1 minute' })
  const [api] = report.limits
  console.log(`${api?.name} ${api?.admitted} ${api?.denied} ${report.top.denied.length}`)
  limiter.close()
  view.close()
}

main()
