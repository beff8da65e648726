const SUBJECTS = [
  'ratethrottle.allow',
  'map-sliding',
  '@fastify/rate-limit',
  'express-rate-limit',
  'rate-limiter-flexible',
]
const COLOURS = ['#2f81f7', '#8b949e', '#a371f7', '#d29922', '#db6d28']
const [LEFT, TOP, BAR, GAP, WIDTH] = [150, 64, 11, 16, 860]

/** Bars of ns per call, on a scale of square roots: the slowest rival takes thirty times the fastest. */
export function toChart(rows, nodeVersion) {
  const local = rows.filter((row) => row.suite === 'local' && SUBJECTS.includes(row.subject))
  const cases = [...new Set(local.map((row) => row.case))]
  const longest = Math.max(1, ...local.map((row) => row.nsPerOp))
  const group = SUBJECTS.length * BAR + GAP
  const scale = (nanos) => ((WIDTH - LEFT - 90) * Math.sqrt(nanos)) / Math.sqrt(longest)
  const bars = cases.flatMap((name, index) => [
    text(LEFT - 10, TOP + index * group + group / 2 - 4, name, 'end'),
    ...SUBJECTS.flatMap((subject, line) => {
      const row = local.find((found) => found.case === name && found.subject === subject)
      if (row === undefined) return []
      const y = TOP + index * group + line * BAR
      return [
        `<rect x="${LEFT}" y="${y}" width="${scale(row.nsPerOp).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[line]}"/>`,
        text(
          LEFT + scale(row.nsPerOp) + 5,
          y + BAR - 3,
          `${Math.round(row.nsPerOp)} ns`,
          'start',
          9,
        ),
      ]
    }),
  ])
  const height = TOP + cases.length * group + 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<style>text{fill:#57606a}@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}</style>
${text(LEFT, 20, `One call, nanoseconds (shorter is faster; square-root scale), Node ${nodeVersion}`, 'start', 13)}
${SUBJECTS.map((subject, i) => legend(subject, i)).join('\n')}
${bars.join('\n')}
</svg>
`
}

function legend(subject, index) {
  const x = LEFT + index * 140
  return `<rect x="${x}" y="34" width="10" height="10" fill="${COLOURS[index]}"/>${text(x + 14, 43, subject, 'start', 10)}`
}

const text = (x, y, words, anchor, size = 11) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}">${words}</text>`
