import { CommandError, helpText, readCommand } from './command.mjs'
import { report } from './progress.mjs'
import { writeRecord } from './record.mjs'
import { http } from './suites/http.mjs'
import { instructions } from './suites/instructions.mjs'
import { local } from './suites/local.mjs'
import { memory } from './suites/memory.mjs'
import { processes } from './suites/processes.mjs'
import { redis } from './suites/redis.mjs'
import { refusals } from './suites/refusals.mjs'
import { start } from './suites/start.mjs'
import { threads } from './suites/threads.mjs'
import { toText } from './table.mjs'

const SUITES = [local, threads, memory, http, redis, processes, refusals, start, instructions]

try {
  await main()
} catch (error) {
  report(error instanceof CommandError ? error.message : `failed: ${error.message}`)
  process.exitCode = 1
}

async function main() {
  const command = readCommand(process.argv.slice(2), SUITES)
  if (command.help) return console.log(helpText(SUITES))
  const started = Date.now()
  const rows = []
  const tables = []
  for (const plan of command.plans) {
    const found = await runSuite(plan, command.json)
    rows.push(...found)
    tables.push(...plan.suite.tables(found))
  }
  if (command.record) report(`recorded in ${writeRecord({ rows, tables, command })}`)
  report(`done in ${Math.round((Date.now() - started) / 1000)} s`)
  return rows
}

/** Result lines leave as soon as a case is done; tables when the suite is. */
async function runSuite(plan, json) {
  const rows = []
  for await (const row of plan.suite.run(plan)) {
    rows.push(row)
    if (json) console.log(JSON.stringify(row))
  }
  if (!json) for (const table of plan.suite.tables(rows)) console.log(toText(table))
  return rows
}
