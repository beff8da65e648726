import { CommandError } from '../command.mjs'
import { toText } from '../table.mjs'
import { HELP, readRange } from './command.mjs'
import { runJobs } from './pool.mjs'
import { writeRecord } from './record.mjs'
import { toTables } from './tables.mjs'
import { tryTarget } from './target.mjs'

try {
  await main(readRange(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`range: ${error instanceof CommandError ? error.message : error.stack}\n`)
  process.exitCode = 1
}

async function main(command) {
  if (command.help) return console.log(HELP)
  if (command.target !== undefined) return live(command)
  const started = Date.now()
  const results = await runJobs(command.jobs, command.workers, (result, done) => {
    if (command.json) console.log(JSON.stringify(result))
    progress(result, done, command.jobs.length)
  })
  if (!command.json) for (const table of toTables(command, results)) console.log(toText(table))
  if (command.record) {
    process.stderr.write(`range: recorded in ${writeRecord(command, results)}\n`)
  }
  process.stderr.write(`range: done in ${Math.round((Date.now() - started) / 1_000)} s\n`)
}

/** One botnet at a time: the scenario that was named, or S2. */
async function live({ target, scenarios, calm, seconds, json }) {
  const scenario =
    scenarios.length === 1 ? scenarios[0] : scenarios.find(({ name }) => name === 'S2')
  if (scenario === undefined) throw new CommandError('--url takes one scenario')
  process.stderr.write(`range: ${calm} s of regulars, then ${seconds} s of ${scenario.name}\n`)
  const table = await tryTarget(target, scenario, { calm, seconds })
  console.log(json ? JSON.stringify(table) : toText(table))
}

/** One line that is drawn over itself on a terminal, and a line for each scenario elsewhere. */
function progress({ scenario, contender, seed }, done, all) {
  const line = `range: ${done} of ${all}: ${scenario}, ${contender}, seed ${seed}`
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${line}${done === all ? '\n' : ''}`)
  else if (done === all || done % 20 === 0) process.stderr.write(`${line}\n`)
}
