import { BARE, OURS } from '../peers/http-answers.mjs'

const isOurs = ({ subject }) => subject.startsWith(OURS)

/** One table of calls and one of requests: a row for each subject of each case. */
export function tables(rows) {
  const calls = rows.filter(({ nsPerOp }) => nsPerOp !== undefined)
  const requests = rows.filter(({ cpuUsPerReq }) => cpuUsPerReq !== undefined)
  return [
    ...(calls.length === 0 ? [] : [callTable(calls)]),
    ...(requests.length === 0 ? [] : [requestTable(requests)]),
  ]
}

const callTable = (rows) => ({
  title: 'refusals: calls of one thread',
  head: ['case, subject', 'refused/s', 'ns', 'min', 'max'],
  body: rows.map((row) => [
    `${row.case}, ${row.subject}`,
    String(row.perSecond),
    ...[row.nsPerOp, row.min, row.max].map((nanos) => nanos.toFixed(1)),
  ]),
  notes: notesOf(rows),
})

const requestTable = (rows) => ({
  title: 'refusals: requests of one server',
  head: [
    ...['case, server', 'refused/s of a core', 'CPU µs', 'min', 'max'],
    ...['added over bare', 'refused/s observed'],
  ],
  body: rows.map((row) => [
    `${row.case}, ${row.subject}`,
    String(row.perSecond),
    ...[row.cpuUsPerReq, row.min, row.max].map((micros) => micros.toFixed(1)),
    row.addedUsPerReq?.toFixed(1) ?? '',
    String(row.reqPerSec),
  ]),
  notes: [
    ...notesOf(rows),
    'The CPU is that of the server, kernel included. Fewer are observed where the clients are slower than the server.',
  ],
})

/** How many times as many as each rival, and which share of the answer by hand. */
function notesOf(rows) {
  return [...new Set(rows.map((row) => row.case))].flatMap((name) => {
    const own = rows.filter((row) => row.case === name)
    const ours = own.find(isOurs)
    const others = own.filter((row) => !isOurs(row))
    if (ours === undefined || others.length === 0) return []
    const shares = others.map(
      ({ subject, perSecond }) => `${(ours.perSecond / perSecond).toFixed(2)} × ${nameOf(subject)}`,
    )
    return [`${name}: ${OURS} refuses ${shares.join(', ')}.`]
  })
}

const nameOf = (subject) => (subject === BARE ? 'the answer by hand' : subject)
