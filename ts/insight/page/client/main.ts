import { Chart } from './chart.ts'
import { byId, make, setAttributes, setText } from './element.ts'
import { moment, number, share } from './format.ts'
import { Durations, Keys, Limits, Routes, Totals } from './limits.ts'
import { changesOf, Link, type LinkState } from './live.ts'
import { History } from './series.ts'
import { Shields, Stores } from './shields.ts'
import type { Range, Snapshot } from './snapshot.ts'

/* The page: puts its parts in place, and hands them what comes. */

const LINK_WORDS: Readonly<Record<LinkState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  polling: 'Every 5 seconds',
  paused: 'Paused',
  lost: 'No answer: figures are old',
  refused: 'No longer authorized: sign in',
}
const RANGE_WORDS: Readonly<Record<Range, string>> = {
  '10m': 'the last 10 minutes',
  '24h': 'the last 24 hours',
  '30d': 'the last 30 days',
}
/** A screen reader is told the sums this often, and at once when something goes wrong. */
const SAY_MS = 30_000

const history = new History()
let saidAt = Number.NEGATIVE_INFINITY

const totals = new Totals()
const chart = new Chart(() => showOverTime())
const limits = new Limits((limit) => {
  chart.choose(limit)
  showOverTime()
  chart.element.scrollIntoView({ block: 'nearest' })
})
const keys = new Keys()
const routes = new Routes()
const shields = new Shields(changesOf(document.body.dataset))
const stores = new Stores()
const durations = new Durations()
const updated = make('p')

byId('figures').append(
  totals.element,
  chart.element,
  limits.element,
  keys.element,
  routes.element,
  shields.element,
  make('div', { class: 'pair' }, stores.element, durations.element),
  make('footer', {}, updated),
)

function showOverTime(): void {
  chart.show(history)
}

function show(snapshot: Snapshot): void {
  history.take(snapshot.series, snapshot.at)
  totals.show(snapshot)
  showOverTime()
  limits.show(snapshot, history)
  for (const part of [keys, routes, shields, stores, durations]) part.show(snapshot)
  setText(updated, `Figures of ${moment(snapshot.at, 1000)}, by the clock of this device.`)
  warnOf(snapshot)
  say(snapshot)
}

/** What an operator has to know first. */
function warnOf({ stores: all, shields: shielding, config }: Snapshot): void {
  const words: string[] = []
  const away = all.filter(({ available }) => !available).length
  if (away > 0)
    words.push(`The store of ${number(away)} of ${number(all.length)} limits does not answer.`)
  if (shielding.some(({ pressure }) => pressure)) {
    words.push('The shield is under pressure: the service is offered more than it can do.')
  }
  if (shielding.some(({ alarm }) => alarm)) words.push('Most requests to sensitive routes fail.')
  if (config?.stale === true) {
    words.push(
      'The last reload of the configuration failed: the limits in use are those before it.',
    )
  }
  const notices = byId('notices')
  if (JSON.stringify(words) === notices.getAttribute('data-text')) return
  notices.setAttribute('data-text', JSON.stringify(words))
  notices.replaceChildren(...words.map((text) => make('p', { class: 'notice' }, text)))
}

function say({ totals: { admitted, denied }, range }: Snapshot): void {
  if (performance.now() - saidAt < SAY_MS) return
  saidAt = performance.now()
  const part = share(denied, admitted + denied)
  const sums = `${number(admitted)} admitted and ${number(denied)} denied in ${RANGE_WORDS[range]}, ${part} denied.`
  setText(byId('summary'), admitted + denied === 0 ? `No request in ${RANGE_WORDS[range]}.` : sums)
}

function tell(state: LinkState): void {
  const link = byId('link')
  const isLost = state === 'lost' || state === 'refused'
  setAttributes(link, { 'data-state': isLost ? 'lost' : state })
  setText(link.firstElementChild ?? link, LINK_WORDS[state])
}

const link = new Link(show, tell)
const pause = byId('pause')
pause.addEventListener('click', () => {
  const isPaused = pause.getAttribute('aria-pressed') !== 'true'
  pause.setAttribute('aria-pressed', `${isPaused}`)
  link.pause(isPaused)
})
for (const radio of document.querySelectorAll<HTMLInputElement>('input[name="range"]')) {
  radio.addEventListener('change', () => {
    saidAt = Number.NEGATIVE_INFINITY
    link.show(radio.value as Range)
  })
  // A browser that goes back keeps the choice of before.
  if (radio.checked) link.show(radio.value as Range)
}
