import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { toMarkdown } from '../table.mjs'
import { NAMES } from './contenders.mjs'
import { FIGURES, summarise } from './goals.mjs'
import { toPicture } from './picture.mjs'
import { goalText, toFigure, toTables } from './tables.mjs'

const FOLDER = new URL('../record/', import.meta.url)

/** Writes a dated page and its picture to bench/record/; answers with the page's name. */
export function writeRecord(command, results) {
  mkdirSync(FOLDER, { recursive: true })
  const name = `${new Date().toISOString().slice(0, 10)}-range`
  const picture = toPicture(command, results)
  const hasPicture = picture.includes('class="bar ours"')
  const page = [
    `# ${name.slice(0, 10)}: the attack range\n`,
    header(command),
    ...(hasPicture ? [`![regulars' pages that come whole under attack](${name}.svg)\n`] : []),
    missed(command, results),
    ...toTables(command, results).map(toMarkdown),
  ]
  writeFileSync(new URL(`${name}.md`, FOLDER), `${page.join('\n').trim()}\n`)
  if (hasPicture) writeFileSync(new URL(`${name}.svg`, FOLDER), picture)
  return `bench/record/${name}.md`
}

function header({ jobs, contenders }) {
  const seeds = contenders.map((contender) => {
    const own = jobs.filter((job) => job.contender === contender)
    return `${NAMES[contender]} ${new Set(own.map(({ seed }) => seed)).size}`
  })
  const lines = [
    'Virtual time: no figure but the seconds for a seed depends on the machine.',
    `${cpus()[0].model}, Node ${process.version}`,
    `seeds: ${seeds.join(', ')}. A cell is the median, and in brackets the worst where it differs.`,
    `\`npm run range -- ${process.argv.slice(2).join(' ')}\``,
  ]
  return `${lines.map((line) => `- ${line}`).join('\n')}\n`
}

/** Every goal that is not reached by the worst seed. */
function missed({ scenarios, contenders }, results) {
  if (!contenders.includes('ours')) return ''
  const lines = scenarios.flatMap(({ name }) => {
    const own = results.filter((row) => row.scenario === name && row.contender === 'ours')
    return summarise(name, own)
      .filter(({ verdict }) => verdict === 'missed' || verdict === 'median only')
      .map((line) => toLine(name, line))
  })
  return `## Goals not reached\n\n${lines.length === 0 ? '- none' : lines.join('\n')}\n`
}

function toLine(name, { figure, median, worst, goal, verdict }) {
  const [words, unit] = FIGURES[figure]
  const figures = `${toFigure(median)}, worst ${toFigure(worst)}${unit === '' ? '' : ` ${unit}`}`
  const by = verdict === 'missed' ? 'missed' : 'reached by the median, not by the worst seed'
  return `- ${name}: ${words} ${figures}; goal ${goalText(goal)}: ${by}`
}
