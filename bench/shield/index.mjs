import { CommandError } from '../command.mjs'
import { toText } from '../table.mjs'
import { HELP, readRange } from './command.mjs'
import { runJobs } from './pool.mjs'
import { toTables } from './tables.mjs'

try {
  await main(readRange(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`range: ${error instanceof CommandError ? error.message : error.stack}\n`)
  process.exitCode = 1
}

async function main(command) {
  if (command.help) return console.log(HELP)
  const started = Date.now()
  const results = await runJobs(command.jobs, command.workers, (result, done) => {
    if (command.json) console.log(JSON.stringify(result))
    progress(result, done, command.jobs.length)
  })
  if (!command.json) for (const table of toTables(command, results)) console.log(toText(table))
  process.stderr.write(`range: done in ${Math.round((Date.now() - started) / 1_000)} s\n`)
}

/** One line that is drawn over itself on a terminal, and a line for each scenario elsewhere. */
function progress({ scenario, contender, seed }, done, all) {
  const line = `range: ${done} of ${all}: ${scenario}, ${contender}, seed ${seed}`
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${line}${done === all ? '\n' : ''}`)
  else if (done === all || done % 20 === 0) process.stderr.write(`${line}\n`)
}
