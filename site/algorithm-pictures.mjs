// Draws docs/concepts/*.svg from runs of the real limiters on a fake clock, so that the pictures are true.
//
//   npm run build:ts && node site/algorithm-pictures.mjs     # writes them
//   node site/algorithm-pictures.mjs --check                 # exits with 1 if they are not what a run gives
import { readFileSync, writeFileSync } from 'node:fs'
import { FakeClock, RateLimiter } from '../dist/index.js'

const COUNT = 10
const LIMIT = `${COUNT}/minute`
const WINDOW = 60
const WIDTH = 680
const LEFT = 112
const RIGHT = 20
const STYLE =
  '<style>text{fill:#57606a}.grid{stroke:#8b949e;stroke-opacity:.35}.denied{fill:none;stroke:#8b949e;stroke-opacity:.7}@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}</style>'
const COLOURS = {
  'token-bucket': '#2f81f7',
  'sliding-window': '#a371f7',
  'sliding-log': '#3fb950',
  'fixed-window': '#db6d28',
  'leaky-bucket': '#d29922',
}

/** What a client asks, in seconds: a first request, two bursts around the end of a minute, and then one each second. */
const DEMAND = [0, ...Array(12).fill(50), ...Array(12).fill(65), ...range(90, 180, 1)]
/** A client that never stops asking. */
const OVERLOAD = range(0, 180, 0.25)

function range(from, to, step) {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)
}

/** Which requests a fresh limiter admits. */
function run(algorithm, seconds) {
  const clock = new FakeClock()
  const limiter = new RateLimiter(LIMIT, { algorithm, clock })
  let now = 0
  const seen = seconds.map((at) => {
    clock.advance((at - now) * 1000)
    now = at
    return { at, isAdmitted: limiter.allow('client') }
  })
  limiter.close()
  return seen
}

/** The window that has the most admitted requests. */
function fullestWindow(seen) {
  const admitted = seen.filter(({ isAdmitted }) => isAdmitted).map(({ at }) => at)
  const counts = admitted.map((from) => ({
    from,
    count: admitted.filter((at) => at >= from && at < from + WINDOW).length,
  }))
  return counts.reduce((most, one) => (one.count > most.count ? one : most))
}

/** When callers leave `wait`, in seconds, if they all come at once. */
async function leaving(algorithm, callers) {
  const clock = new FakeClock()
  const limiter = new RateLimiter(LIMIT, { algorithm, clock })
  const left = []
  const all = Array.from({ length: callers }, async () => {
    await limiter.wait('jobs')
    left.push(clock.now() / 1000)
  })
  const start = clock.now() / 1000
  for (let i = 0; i < 10 * callers; i++) {
    await new Promise(setImmediate)
    clock.advance(1000)
  }
  await Promise.all(all)
  limiter.close()
  return left.map((at) => at - start)
}

const x = (second, longest) => LEFT + (second * (WIDTH - LEFT - RIGHT)) / longest
const round = (number) => Math.round(number * 10) / 10
const text = (left, top, said, more = '') =>
  `<text x="${round(left)}" y="${round(top)}" ${more}>${said}</text>`
const line = (x1, y1, x2, y2, more) =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" ${more}/>`
const dot = (left, top, isAdmitted, colour) =>
  `<circle cx="${round(left)}" cy="${round(top)}" r="2.4" ${isAdmitted ? `fill="${colour}"` : 'class="denied"'}/>`

function svg(height, title, parts) {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" role="img" aria-label="${title}">`
  return `${[open, STYLE, ...parts, '</svg>'].join('\n')}\n`
}

/** A scale of seconds below a picture. */
function axis(top, bottom, longest, step) {
  return range(0, longest, step).flatMap((second) => [
    line(x(second, longest), top, x(second, longest), bottom, 'class="grid"'),
    text(x(second, longest), bottom + 16, `${second} s`, 'text-anchor="middle"'),
  ])
}

/** A row for each algorithm: requests as dots, those of one second above each other. */
function bursts() {
  const names = ['token-bucket', 'sliding-window', 'sliding-log', 'fixed-window']
  const step = 104
  const bottom = 40 + names.length * step
  const rows = names.flatMap((name, i) => burstRow(name, 40 + (i + 1) * step - 22))
  const title = `${LIMIT}: filled requests are admitted, the others denied. The bar marks the fullest minute.`
  return svg(bottom + 26, title, [text(8, 18, title), ...axis(32, bottom, 180, 30), ...rows])
}

function burstRow(name, base) {
  const seen = run(name, DEMAND)
  const heights = new Map()
  const dots = seen.map(({ at, isAdmitted }) => {
    const height = heights.get(at) ?? 0
    heights.set(at, height + 1)
    return dot(x(at, 180), base - height * 6, isAdmitted, COLOURS[name])
  })
  const { from, count } = fullestWindow(seen)
  const [left, right] = [x(from, 180), x(from + WINDOW, 180)]
  const bar = line(left, base + 12, right, base + 12, `stroke="${COLOURS[name]}" stroke-width="3"`)
  const label = text(right + 6, base + 18, `${count} in ${WINDOW} s`, 'font-size="12"')
  const leftmost = text(8, base - 26, name, 'font-weight="bold"')
  return [leftmost, ...dots, bar, label]
}

/** Requests admitted so far, under constant overload. The log's line is broad, because the fixed window's hides it. */
function totals() {
  const names = ['token-bucket', 'sliding-window', 'sliding-log', 'fixed-window']
  const [top, bottom, most] = [64, 330, 45]
  const y = (count) => bottom - (count * (bottom - top)) / most
  const title = `A client that never stops asking, ${LIMIT}: requests admitted so far`
  const scale = range(0, most, 10).flatMap((count) => [
    line(LEFT, y(count), WIDTH - RIGHT, y(count), 'class="grid"'),
    text(LEFT - 8, y(count) + 4, `${count}`, 'text-anchor="end"'),
  ])
  const lines = names.flatMap((name, i) => {
    const at = run(name, OVERLOAD).filter(({ isAdmitted }) => isAdmitted)
    const steps = at.map((one, n) => `H${round(x(one.at, 180))}V${round(y(n + 1))}`).join('')
    const path = `<path d="M${LEFT} ${bottom}${steps}H${WIDTH - RIGHT}" fill="none" stroke="${COLOURS[name]}" stroke-width="${name === 'sliding-log' ? 7 : 2}"/>`
    const left = 8 + i * 170
    const key = `<rect x="${left}" y="34" width="12" height="12" fill="${COLOURS[name]}"/>`
    return [path, key, text(left + 18, 44, `${name}: ${at.length}`)]
  })
  return svg(bottom + 26, title, [
    text(8, 18, title),
    ...scale,
    ...axis(top, bottom, 180, 30),
    ...lines,
  ])
}

/** When callers of `wait` go on. */
async function queues() {
  const names = ['token-bucket', 'leaky-bucket']
  const callers = 15
  const longest = 90
  const rows = await Promise.all(
    names.map(async (name, i) => {
      const base = 114 + i * 92
      const heights = new Map()
      const dots = (await leaving(name, callers)).map((at) => {
        const height = heights.get(at) ?? 0
        heights.set(at, height + 1)
        return dot(x(at, longest), base - height * 6, true, COLOURS[name])
      })
      return [text(8, base - 20, name, 'font-weight="bold"'), ...dots]
    }),
  )
  const title = `${callers} callers of wait at 0 s, ${LIMIT}: when each of them goes on`
  return svg(246, title, [text(8, 18, title), ...axis(32, 220, longest, 15), ...rows.flat()])
}

const pictures = { bursts: bursts(), totals: totals(), queues: await queues() }
for (const [name, drawn] of Object.entries(pictures)) {
  const file = new URL(`../docs/concepts/${name}.svg`, import.meta.url)
  if (!process.argv.includes('--check')) writeFileSync(file, drawn)
  else if (readFileSync(file, 'utf8') !== drawn) {
    console.error(
      `docs/concepts/${name}.svg is not what a run gives: node site/algorithm-pictures.mjs`,
    )
    process.exitCode = 1
  }
}
