import { NAMES } from './contenders.mjs'
import { FIGURES, summarise } from './goals.mjs'

/** A table for each scenario: a figure's median and worst, and for ours the goal. */
export function toTables({ scenarios, contenders }, results) {
  return scenarios.map((scenario) => {
    const found = contenders.map((contender) => summary(scenario, contender, results))
    const figures = Object.keys(FIGURES).filter((figure) =>
      found.some(({ lines }) => lines.some((line) => line.figure === figure)),
    )
    const isOurs = contenders.includes('ours')
    return {
      title: `${scenario.name}: ${scenario.says}`,
      head: ['', ...found.map(({ title }) => title), ...(isOurs ? ['goal', ''] : [])],
      body: figures.map((figure) => toRow(figure, found, isOurs)),
    }
  })
}

function summary(scenario, contender, results) {
  const own = results.filter(
    (result) => result.scenario === scenario.name && result.contender === contender,
  )
  const title = `${NAMES[contender]} (${own.length} ${own.length === 1 ? 'seed' : 'seeds'})`
  return { title, contender, lines: summarise(scenario.name, own) }
}

function toRow(figure, found, isOurs) {
  const [words, unit] = FIGURES[figure]
  const lines = found.map(({ lines: all }) => all.find((line) => line.figure === figure))
  const cells = lines.map((line) => (line === undefined ? '' : toCell(line, unit)))
  const goal = isOurs ? goalCells(found, figure) : []
  return [unit === '' ? words : `${words}, ${unit}`, ...cells, ...goal]
}

/** The worst is named where it differs. */
function toCell({ median, worst }) {
  const [middle, last] = [toFigure(median), toFigure(worst)]
  return middle === last ? middle : `${middle} (${last})`
}

function goalCells(found, figure) {
  const ours = found.find(({ contender }) => contender === 'ours')
  const line = ours?.lines.find((known) => known.figure === figure)
  if (line?.goal === undefined) return ['', '']
  return [goalText(line.goal), line.verdict]
}

export const goalText = ({ least, most }) => (least === undefined ? `≤ ${most}` : `≥ ${least}`)

export function toFigure(value) {
  if (!Number.isFinite(value)) return 'never'
  if (Number.isInteger(value)) return value.toLocaleString('en')
  if (Math.abs(value) < 0.1 || (value > 99.9 && value < 100)) return value.toFixed(3)
  return value.toFixed(value < 10 || value > 99 ? 2 : 1)
}
