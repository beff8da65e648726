import { BARE, OURS, PLAIN } from '../peers/http-answers.mjs'

/** Ours as built in the tree that `--tree` names. */
export const BASELINE = `${OURS}.baseline`

const FLOORS = { addedPerReq: BARE, addedOverPlain: PLAIN }

/** One table for each case, and under it how we stand against the baseline and the rivals. */
export function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) => {
    const own = rows.filter((row) => row.case === name)
    return {
      title: `instructions ${name}`,
      head: [
        'server',
        'instructions/request',
        'min',
        'max',
        'added over bare',
        'added over plain',
        'clock reads',
      ],
      body: own.map(toCells),
      notes: [...notesOf(own), ...denialNotes(rows, name)],
    }
  })
}

const toCells = (row) => [
  row.subject,
  String(row.perReq),
  String(row.min),
  String(row.max),
  String(row.addedPerReq ?? ''),
  String(row.addedOverPlain ?? ''),
  readsOf(row),
]

/** JavaScript's clocks, the addon's exact one, the addon's rough one. */
const readsOf = ({ jsClockReads, exactClockReads, roughClockReads }) =>
  [`${jsClockReads} js`, `${exactClockReads} exact`, `${roughClockReads} rough`]
    .filter((text) => !text.startsWith('0 '))
    .join(', ')

function notesOf(rows) {
  const ours = rows.find(({ subject }) => subject === OURS)
  if (ours === undefined) return []
  return rows
    .filter(({ subject }) => ![OURS, BARE, PLAIN].includes(subject))
    .flatMap((row) => (row.subject === BASELINE ? baselineNote(ours, row) : rivalNote(ours, row)))
}

function baselineNote(ours, row) {
  const added = Object.entries(FLOORS)
    .filter(([field]) => row[field] > 0)
    .map(([field, floor]) => `, ${change(ours[field], row[field])} of what is added over ${floor}`)
  return [`Against the baseline: ${change(ours.perReq, row.perReq)} a request${added.join('')}.`]
}

function rivalNote(ours, row) {
  const shares = Object.entries(FLOORS)
    .filter(([field]) => row[field] > 0)
    .map(([field, floor]) => `${percent(ours[field], row[field])} over ${floor}`)
  if (shares.length === 0) return []
  return [`Of what ${row.subject} adds, ${OURS} adds ${shares.join(', ')}.`]
}

/** The whole request too: what is added to a cheap answer by hand hides what the framework was spared. */
function denialNotes(rows, name) {
  if (!name.endsWith('-deny')) return []
  const find = (wanted) => rows.find((row) => row.case === wanted && row.subject === OURS)
  const [denied, admitted] = [find(name), find(name.replace('-deny', '-admit'))]
  if (denied === undefined || admitted === undefined) return []
  const added = Object.entries(FLOORS)
    .filter(([field]) => denied[field] !== undefined && admitted[field] !== undefined)
    .map(([field, floor]) => `, over ${floor} it adds ${denied[field]} and ${admitted[field]}`)
  return [
    `With ${OURS} a denied request takes ${denied.perReq} instructions, an admitted one ${admitted.perReq}${added.join('')}.`,
  ]
}

const percent = (part, whole) => `${Math.round((100 * part) / whole)} %`

function change(now, before) {
  const percents = 100 * (now / before - 1)
  return `${percents < 0 ? '' : '+'}${percents.toFixed(1)} %`
}
