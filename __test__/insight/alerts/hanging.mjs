// A server whose alerts go to a webhook that hangs. Prints what its requests cost the event loop, then ends by itself.
import { alerts, webhook } from 'ratethrottle/insight'

const [url, requests] = [process.argv[2], Number(process.argv[3])]
let isDenied = true
const point = () => ({ at: 0, admitted: 100, denied: isDenied ? 100 : 0, dry: 0, waited: 0 })
const figures = {
  report: () => ({}),
  series: () => [{ limit: 'api', unit: 'second', points: [point(), point()] }],
}
const rules = Array.from({ length: 20 }, (_, i) => {
  return { name: `rule ${i}`, when: 'denied.share > 0.2', for: '1 second' }
})
const work = () => {
  let sum = 0
  for (let i = 0; i < 20_000; i++) sum += Math.sqrt(i)
  return sum
}
/** The processor time of requests, one for each turn of the event loop. */
async function measure() {
  const before = process.cpuUsage()
  for (let i = 0; i < requests; i++) {
    work()
    await new Promise(setImmediate)
  }
  const { user, system } = process.cpuUsage(before)
  return user + system
}
const options = {
  rules,
  notify: webhook(url, { secret: 's', timeoutMs: 10_000 }),
  insight: figures,
}
await measure()
const without = [await measure()]
const watch = alerts(options)
// What is begun here stays under way: each of the requests below is served beside it.
void watch.step()
const withIt = [await measure()]
for (let i = 0; i < 4; i++) {
  without.push(await measure())
  withIt.push(await measure())
}
const { waiting } = watch.state().deliveries[0]
isDenied = false
// What keeps this process alive.
const alive = process.getActiveResourcesInfo()
const middle = (list) => list.sort((a, b) => a - b)[2] / requests
console.log(JSON.stringify({ waiting, alive, without: middle(without), withIt: middle(withIt) }))
