/** stdout is for results alone; what goes on is told here. */
export function report(line) {
  process.stderr.write(`bench: ${line}\n`)
}
