/** A process of the range: runs the jobs that it is sent, one after another, and answers with their figures. */
import { CONTENDERS } from './contenders.mjs'
import { runOnce } from './run.mjs'

process.on('message', ({ scenario, contender, seed }) => {
  const started = performance.now()
  const before = process.memoryUsage.rss()
  const made = CONTENDERS[contender](scenario)
  try {
    const figures = runOnce(scenario, seed, made).figures()
    const rssMb = (process.memoryUsage.rss() - before) / 2 ** 20
    const tookS = (performance.now() - started) / 1_000
    process.send({ scenario: scenario.name, contender, seed, ...figures, rssMb, tookS })
  } catch (error) {
    process.send({ error: `${scenario.name}, ${contender}, seed ${seed}: ${error.stack}` })
  } finally {
    made.close()
  }
})
