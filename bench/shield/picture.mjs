import { summarise } from './goals.mjs'

/** The page is 800 wide and shown at 400, too: its smallest text is then 9 high. */
const [WIDTH, LEFT, RIGHT, TOP] = [800, 330, 76, 96]
const [BAR, ROW] = [18, 52]
const LONGEST = WIDTH - LEFT - RIGHT

/** As in bench/chart.mjs: on its own page text has a contrast of 4.5 and more, and bars of 3 and more. */
const STYLE = `text{fill:#1f2328;font-size:18px}.small{fill:#59636e}.ours{font-weight:600}
.page{fill:#ffffff}.bar{fill:#818b98}.bar.ours{fill:#0969da}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.page{fill:#0d1117}.bar{fill:#767e88}.bar.ours{fill:#4493f8}}`

/** Two bars for each scenario with an attack: regulars' pages with the shield, and with the best of the others. */
export function toPicture({ scenarios, contenders }, results) {
  const rows = scenarios.flatMap((scenario) => {
    const share = (contender) => medianOf(scenario, contender, results)
    const others = contenders.filter((name) => name !== 'ours').map(share)
    const best = Math.max(...others.filter(Number.isFinite))
    const ours = share('ours')
    return Number.isFinite(ours) && Number.isFinite(best) ? [{ scenario, ours, best }] : []
  })
  const height = TOP + rows.length * ROW + 4
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui,sans-serif" role="img" aria-labelledby="title">
<title id="title">Regulars' pages that come whole under attack, in percent, with the shield and with the best of the others</title>
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
<text x="16" y="32" style="font-size:22px;font-weight:600">Regulars' pages that come whole under attack, in percent</text>
<text class="small" x="16" y="58">Blue: with ratethrottle's shield. Grey: with the best of nothing,</text>
<text class="small" x="16" y="80">100/minute per address, and RateThrottle's scorer.</text>
${rows.map(drawRow).join('\n')}
</svg>
`
}

function drawRow({ scenario, ours, best }, index) {
  const top = TOP + index * ROW
  return [
    `<text x="16" y="${top + 15}" style="font-weight:600">${scenario.name}</text>`,
    `<text class="small" x="64" y="${top + 15}">${shortened(scenario.says)}</text>`,
    drawBar(ours, top, 'ours'),
    drawBar(best, top + BAR + 4, ''),
  ].join('\n')
}

function drawBar(share, y, kind) {
  const width = Math.round((LONGEST * share) / 10) / 10
  const words = share > 99 || share < 1 ? share.toFixed(1) : share.toFixed(0)
  return `<rect class="bar ${kind}" x="${LEFT}" y="${y}" width="${width}" height="${BAR}"/>
<text class="${kind}" x="${LEFT + width + 8}" y="${y + BAR - 3}">${words}</text>`
}

function medianOf(scenario, contender, results) {
  const own = results.filter((row) => row.scenario === scenario.name && row.contender === contender)
  const lines = summarise(scenario.name, own)
  return lines.find(({ figure }) => figure === 'regulars')?.median
}

/** Up to the first comma that is no part of a number. */
function shortened(says) {
  const [head] = says.split(/, | \(/)
  const text = head.length < 12 ? says.replace(/ \(.*/, '') : head
  const cut = text.length > 26 ? `${text.slice(0, 25)}…` : text
  return cut.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
