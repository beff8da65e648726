import { OURS } from '../peers/http-answers.mjs'

/** The limiters that a user of each framework would otherwise install. */
const RIVALS = ['@fastify/rate-limit', 'express-rate-limit']

/** One table for each case, and under it how we stand in it. */
export function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) => ({
    title: `http ${name}`,
    head: ['server', 'CPU µs/request', 'min', 'max', 'added over bare', 'requests/s'],
    body: rows.filter((row) => row.case === name).map(toCells),
    notes: [...rivalNotes(rows, name), ...denialNotes(rows, name)],
  }))
}

const toCells = (row) => [
  row.subject,
  row.cpuUsPerReq.toFixed(1),
  row.min.toFixed(1),
  row.max.toFixed(1),
  row.addedUsPerReq?.toFixed(1) ?? '',
  String(row.reqPerSec),
]

function rivalNotes(rows, name) {
  const ours = find(rows, name, OURS)?.addedUsPerReq
  return RIVALS.flatMap((rival) => {
    const theirs = find(rows, name, rival)?.addedUsPerReq
    // Noise may leave nothing added: a share of that says nothing.
    if (ours === undefined || theirs === undefined || theirs <= 0) return []
    if (ours <= 0) return [`${OURS} adds nothing, ${rival} ${theirs.toFixed(1)} µs.`]
    return [`${OURS} adds ${percent(ours / theirs)} of what ${rival} adds.`]
  })
}

/** The whole request, what the framework does included: that is what an attacker makes a server spend. */
function denialNotes(rows, name) {
  if (!name.endsWith('-deny')) return []
  const denied = find(rows, name, OURS)
  const admitted = find(rows, name.replace('-deny', '-admit'), OURS)
  if (denied === undefined || admitted === undefined) return []
  const share = percent(denied.cpuUsPerReq / admitted.cpuUsPerReq)
  return [`With ${OURS} a denied request costs ${share} of an admitted one.`]
}

const find = (rows, name, subject) =>
  rows.find((row) => row.case === name && row.subject === subject)

const percent = (share) => `${Math.round(share * 100)} %`
