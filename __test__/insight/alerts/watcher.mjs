// One of several processes that watch: its parent says what is denied, and when to look.
import { alerts } from 'ratethrottle/insight'

const options = JSON.parse(process.argv[2])
let denied = 0
let isHanging = false
const point = () => ({ at: 0, admitted: 100, denied, dry: 0, waited: 0 })
const watch = alerts({
  rules: [{ when: 'denied.share > 0.2', for: '1 second', min: 100 }],
  ...options,
  // Looks only when it is asked, by a time that all processes have.
  clock: { now: () => Date.now() },
  notify: async ({ status }) => {
    process.send(['told', status])
    if (isHanging) await new Promise(() => {})
  },
  insight: {
    report: () => ({}),
    series: () => [{ limit: 'api', unit: 'second', points: [point(), point()] }],
  },
})
process.on('message', async ([what, value]) => {
  if (what === 'denied') denied = value ? 100 : 0
  if (what === 'hang') isHanging = true
  if (what === 'look') {
    // A look that hangs must not keep the parent waiting: it asks again, as the timer does.
    await Promise.race([watch.step(), new Promise((resolve) => setTimeout(resolve, 150))])
    process.send(['looked', watch.state().rules[0].status])
  }
})
process.on('disconnect', () => process.exit())
process.send(['ready'])
