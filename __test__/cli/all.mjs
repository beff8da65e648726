// Calls `ratethrottle` with each of these words in a directory, one after the other, and prints their exit codes:
// node all.mjs '[["top"], ["report", "--csv"]]' /tmp
import { PassThrough } from 'node:stream'
import { call } from '../../dist/cli/run.js'

process.chdir(process.argv[3])
const codes = []
for (const words of JSON.parse(process.argv[2])) {
  const nowhere = new PassThrough().resume()
  codes.push(await call(words, { stdout: nowhere, stderr: nowhere }))
}
console.log(JSON.stringify(codes))
