// Prints "N passed, N failed" from the reports of `cargo test` and vitest: node scripts/count.mjs <failed steps> <folder>
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const [, , failedSteps, folder] = process.argv

/** Sums the "test result" lines of `cargo test`; a report without one counts as a failure. */
function cargo(name) {
  const lines = [...read(name).matchAll(/^test result: \S+ (\d+) passed; (\d+) failed/gm)]
  const sum = (column) => lines.reduce((total, line) => total + Number(line[column]), 0)
  return { passed: sum(1), failed: sum(2) + (lines.length === 0 ? 1 : 0) }
}

function vitest(name) {
  const report = parse(read(name))
  if (report === undefined) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests, numFailedTestSuites, success } = report
  const broken = success ? 0 : Math.max(1, numFailedTestSuites)
  return { passed: numPassedTests, failed: Math.max(numFailedTests, broken) }
}

/** Nothing if there is no report, or half of one. */
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function read(name) {
  try {
    return readFileSync(join(folder, name), 'utf8')
  } catch {
    return ''
  }
}

const counts = [cargo('rust.txt'), cargo('loom.txt'), vitest('vitest.json'), vitest('package.json')]
const passed = counts.reduce((sum, count) => sum + count.passed, 0)
const failed = counts.reduce((sum, count) => sum + count.failed, 0)
// A step without tests of its own (lint, types) fails as one.
const all = failed === 0 ? Number(failedSteps) : Math.max(failed, Number(failedSteps))
console.log(`${passed} passed, ${all} failed`)
process.exitCode = all === 0 ? 0 : 1
