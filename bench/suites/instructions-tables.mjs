import { OURS } from './http-tables.mjs'

/** Ours as built in the tree that `--tree` names. */
export const BASELINE = `${OURS}.baseline`

/** One table for each case, and under it how we stand against the baseline and the rivals. */
export function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) => {
    const own = rows.filter((row) => row.case === name)
    return {
      title: `instructions ${name}`,
      head: ['server', 'instructions/request', 'min', 'max', 'added over bare', 'clock reads'],
      body: own.map(toCells),
      notes: notesOf(own),
    }
  })
}

const toCells = (row) => [
  row.subject,
  String(row.perReq),
  String(row.min),
  String(row.max),
  String(row.addedPerReq ?? ''),
  readsOf(row),
]

/** JavaScript's clocks, the addon's exact one, the addon's rough one. */
const readsOf = ({ jsClockReads, exactClockReads, roughClockReads }) =>
  [`${jsClockReads} js`, `${exactClockReads} exact`, `${roughClockReads} rough`]
    .filter((text) => !text.startsWith('0 '))
    .join(', ')

function notesOf(rows) {
  const ours = rows.find(({ subject }) => subject === OURS)
  if (ours?.addedPerReq === undefined) return []
  return rows
    .filter(({ subject, addedPerReq }) => subject !== OURS && addedPerReq > 0)
    .map((row) =>
      row.subject === BASELINE
        ? `Against the baseline: ${change(ours.perReq, row.perReq)} a request, ${change(ours.addedPerReq, row.addedPerReq)} of what is added.`
        : `${OURS} adds ${Math.round((100 * ours.addedPerReq) / row.addedPerReq)} % of what ${row.subject} adds.`,
    )
}

function change(now, before) {
  const percent = 100 * (now / before - 1)
  return `${percent < 0 ? '' : '+'}${percent.toFixed(1)} %`
}
