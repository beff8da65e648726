/** At most four groups, in words; each is a case of suite `local`. */
const GROUPS = [
  ['idle-one-stored', 'one busy caller'],
  ['idle-10k-stored', '10,000 callers'],
  ['idle-1m-stored', 'a million callers'],
  ['mixed-stored', 'a mix of 100,000 callers, a tenth refused'],
]
const OURS = 'ratethrottle.allow'
const BARS = [
  [OURS, 'ratethrottle'],
  ['map-sliding', 'sliding-window Map'],
  ['@fastify/rate-limit', '@fastify/rate-limit'],
  ['express-rate-limit', 'express-rate-limit'],
  ['rate-limiter-flexible', 'rate-limiter-flexible'],
]

/** The page is 800 wide and shown at 400, too: its smallest text is then 9 high. */
const [WIDTH, LEFT, RIGHT, TOP] = [800, 210, 80, 84]
const [LINE, BAR, TITLE, GAP] = [24, 18, 30, 18]
const GROUP = TITLE + BARS.length * LINE + GAP
const LONGEST = WIDTH - LEFT - RIGHT

/**
 * The picture brings its own page: a reader's theme and a reader's system may differ. On it text has a
 * contrast of 4.5 and more, and bars of 3 and more.
 */
const STYLE = `text{fill:#1f2328;font-size:18px}.small{fill:#59636e}.ours{font-weight:600}
.page{fill:#ffffff}.bar{fill:#818b98}.bar.ours{fill:#0969da}path{stroke:#ffffff;stroke-width:4;fill:none}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.page{fill:#0d1117}.bar{fill:#767e88}.bar.ours{fill:#4493f8}path{stroke:#0d1117}}`

/** Bars of nanoseconds a call, on one linear scale. Those that would dwarf all others are cut, and say so. */
export function toChart(rows, { nodeVersion, cpu }) {
  const groups = GROUPS.map(([name, words]) => ({ words, bars: barsOf(rows, name) })).filter(
    ({ bars }) => bars.length > 0,
  )
  const cut = longestShown(groups)
  const height = TOP + groups.length * GROUP + 8
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui,sans-serif" role="img" aria-labelledby="title">
<title id="title">Nanoseconds of one call, by limiter and number of callers</title>
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
<text x="16" y="32" style="font-size:22px;font-weight:600">One call, in nanoseconds: shorter is faster</text>
<text class="small" x="16" y="60">${escaped(`${cpu}, Node ${nodeVersion}. Linear scale; a bar marked // goes on.`)}</text>
${groups.map((group, index) => drawGroup(group, TOP + index * GROUP, cut)).join('\n')}
</svg>
`
}

function barsOf(rows, name) {
  return BARS.flatMap(([subject, words]) => {
    const row = rows.find((found) => found.case === name && found.subject === subject)
    return row === undefined ? [] : [{ words, nanos: row.nsPerOp, isOurs: subject === OURS }]
  })
}

/** A quarter more than our own longest bar: at that length one sees that a bar goes on. */
function longestShown(groups) {
  const bars = groups.flatMap((group) => group.bars)
  const own = bars.filter(({ isOurs }) => isOurs).map(({ nanos }) => nanos)
  const all = Math.max(1, ...bars.map(({ nanos }) => nanos))
  return own.length === 0 ? all : Math.min(all, 1.25 * Math.max(...own))
}

function drawGroup({ words, bars }, top, cut) {
  const title = `<text x="16" y="${top + 18}" style="font-weight:600">${escaped(words)}</text>`
  return [title, ...bars.map((bar, line) => drawBar(bar, top + TITLE + line * LINE, cut))].join(
    '\n',
  )
}

function drawBar({ words, nanos, isOurs }, y, cut) {
  const isCut = nanos > cut
  const width = round((LONGEST * Math.min(nanos, cut)) / cut)
  const kind = isOurs ? ' class="ours"' : ''
  const bar = isOurs ? 'bar ours' : 'bar'
  const base = y + BAR - 3
  return [
    `<text${kind} x="${LEFT - 10}" y="${base}" text-anchor="end">${escaped(words)}</text>`,
    `<rect class="${bar}" x="${LEFT}" y="${y}" width="${width}" height="${BAR}"/>`,
    ...(isCut ? [breakMark(LEFT + width - 30, y)] : []),
    `<text${kind} x="${LEFT + width + 8}" y="${base}">${toFigure(nanos)}</text>`,
  ].join('\n')
}

/** Two strokes across the bar in the colour of the page. */
const breakMark = (x, y) =>
  `<path d="M${x} ${y + BAR + 1}l8 -${BAR + 2}M${x + 10} ${y + BAR + 1}l8 -${BAR + 2}"/>`

const toFigure = (nanos) => Math.round(nanos).toLocaleString('en')
const round = (value) => Math.round(value * 10) / 10
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
