import type { Series, SeriesPoint, SeriesUnit } from '../types.ts'
import { grouped, html, type Markup } from './markup.ts'

const WIDTH = 600
const HEIGHT = 120
/** Above the columns, so that the highest does not touch the edge. */
const ROOM = 4

const FIGURES = ['admitted', 'denied'] as const

/** One limit over time: a column for each step, denied on top of admitted. */
export function chart({ limit, unit, points }: Series): Markup {
  const highest = Math.max(1, ...points.map(total))
  const first = points[0]
  const [last] = points.slice(-1)
  const shown = FIGURES.map((figure) => `${grouped(sumOf(points, figure))} ${figure}`).join(', ')
  const title = `${limit}, ${points.length} ${unit}s: ${shown}, at most ${grouped(highest)} a ${unit}`
  if (first === undefined || last === undefined) return html``
  return html`<figure><figcaption><bdi>${limit}</bdi>: ${shown}; at most ${grouped(highest)} a ${unit}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" preserveAspectRatio="none" aria-label="${title}">
<path class="admitted" d="${columns(points, highest, 'admitted')}"/>
<path class="denied" d="${columns(points, highest, 'denied')}"/>
<path class="axis" d="M0 ${HEIGHT}H${WIDTH}"/>
</svg>
<div class="ends"><time>${clock(first.at, unit)}</time><time>${clock(last.at, unit)}</time></div></figure>
`
}

function total({ admitted, denied }: SeriesPoint): number {
  return admitted + denied
}

function sumOf(points: readonly SeriesPoint[], figure: (typeof FIGURES)[number]): number {
  return points.reduce((sum, point) => sum + point[figure], 0)
}

/** One path for all columns of a figure; steps in which nothing happened take no room in it. */
function columns(
  points: readonly SeriesPoint[],
  highest: number,
  figure: (typeof FIGURES)[number],
): string {
  const width = WIDTH / points.length
  const scale = (HEIGHT - ROOM) / highest
  return points
    .map((point, place) => {
      const height = point[figure] * scale
      if (height === 0) return ''
      const foot = HEIGHT - (figure === 'denied' ? point.admitted * scale : 0)
      const wide = round(width * 0.8)
      return `M${round(place * width)} ${round(foot)}v${round(-height)}h${wide}v${round(height)}z`
    })
    .join('')
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** In UTC, as every time of a report. */
function clock(at: number, unit: SeriesUnit): string {
  const text = new Date(at).toISOString().replace('T', ' ')
  return unit === 'second' ? text.slice(11, 19) : text.slice(5, 16)
}
