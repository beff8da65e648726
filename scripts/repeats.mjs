// Finds copies: npm run lint:repeats
//
// A run of six equal lines that stands twice in ts/ or in the Rust sources is code that should stand once. Blank
// lines, indentation and lines that only close something are left out. Exits with 1 if there is a copy.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const RUN = 6
const FOLDERS = ['ts', 'crate/core/src', 'crate/napi/src']

function sources() {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true })
      .filter((name) => /\.(ts|rs)$/.test(name))
      .map((name) => join(folder, name)),
  )
}

/** Each line that says something, with its number. */
function linesOf(file) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line, index) => ({ text: line.trim(), at: `${file}:${index + 1}` }))
    .filter(({ text }) => /\w/.test(text))
}

const seen = new Map()
const copies = []
for (const file of sources()) {
  const lines = linesOf(file)
  let inCopy = false
  for (let i = 0; i + RUN <= lines.length; i++) {
    const run = lines
      .slice(i, i + RUN)
      .map(({ text }) => text)
      .join('\n')
    const first = seen.get(run)
    if (first === undefined) seen.set(run, lines[i].at)
    else if (!inCopy) copies.push(`${lines[i].at} repeats ${first}`)
    inCopy = first !== undefined
  }
}
for (const copy of copies) console.error(copy)
console.log(`${copies.length} runs of ${RUN} equal lines`)
process.exitCode = copies.length === 0 ? 0 : 1
