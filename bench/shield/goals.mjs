/** What is asked of ours: a figure of a run, and its least or greatest value. All of it is said in shield.md's table. */
const least = (figure, value) => ({ figure, least: value })
const most = (figure, value) => ({ figure, most: value })

const LATER = most('harmedAfter', 0.1)
const CALM = most('calmS', 5)
const SHORT = most('longestBlockS', 120)
const AFTER = [LATER, CALM, SHORT]

export const GOALS = {
  S1: [most('detectedS', 1), least('attackRefused', 99.8), most('harmed', 0.1), ...AFTER],
  S1b: [most('detectedS', 15), least('attackRefused', 90), most('harmed', 0.1), ...AFTER],
  S2: pages(95, 45, 85, most('detectedS', 0.5), least('attackRefused', 93)),
  S2b: pages(93, 35, 85, most('detectedS', 0.5)),
  S2c: pages(90, 15),
  S3: [most('detectedS', 1), least('attackRefused', 99.5), most('harmed', 0.1), ...AFTER],
  S4: pages(99, 60, 85, most('detectedS', 1)),
  S5: [most('refusedInAttack', 0), most('innocentsBlocked', 0), ...AFTER],
  S5b: pages(99, 45, 75, most('innocentsBlocked', 0)),
  S6: [most('mostTries', 10), ...AFTER],
  S6b: [least('failuresRefused', 95), most('knownRefused', 0), ...AFTER],
  S7: [most('mostTries', 20), ...AFTER],
  S7b: [most('mostTries', 20), ...AFTER],
  S8: pages(97, 80, 93),
  S9: pages(95, 92),
  S9b: pages(95, 92),
  day: [most('refusedPeace', 0), most('innocentsBlocked', 0)],
}

function pages(regulars, newcomers, later, ...others) {
  const last = later === undefined ? [] : [least('newcomersLater', later)]
  return [...others, least('regulars', regulars), least('newcomers', newcomers), ...last, ...AFTER]
}

/** How figures are called in tables, and in what they are counted. */
export const FIGURES = {
  detectedS: ['detected', 's'],
  attackRefused: ['attack refused', '%'],
  failuresRefused: ['failing tries refused', '%'],
  mostTries: ['tries served, of one source', ''],
  regulars: ["regulars' pages whole", '%'],
  newcomers: ["newcomers' pages whole", '%'],
  newcomersLater: ['the same after the first minute', '%'],
  harmedPeace: ['requests harmed in peace', '%'],
  harmed: ["others' requests harmed", '%'],
  refusedPeace: ["people's requests refused in peace", ''],
  refusedInAttack: ["people's requests refused in the attack", ''],
  knownRefused: ["regulars' logins refused", '%'],
  harmedAfter: ['harmed in the two minutes after', '%'],
  calmS: ['calm after the end', 's'],
  innocentsBlocked: ['people blocked', ''],
  longestBlockS: ['longest of these blocks', 's'],
  carrierRefused: ['carrier address refused', '%'],
  mostServed: ['most served in a second', ''],
  evictions: ['sources evicted', ''],
  rssMb: ['memory grown by', 'MB'],
  tookS: ['seconds for a seed', 's'],
}

/** Median of the seeds and the worst of them, with the goal and whether it is reached. */
export function summarise(scenario, results) {
  return Object.keys(FIGURES).flatMap((figure) => {
    const goal = GOALS[scenario]?.find((known) => known.figure === figure)
    const values = results.map((result) => result[figure] ?? missing(goal))
    const known = values.filter((value) => value !== undefined).sort((a, b) => a - b)
    if (known.length === 0) return []
    const isUpward = goal === undefined ? UPWARD.includes(figure) : goal.least !== undefined
    const worst = isUpward ? known[0] : known.at(-1)
    return [
      { figure, median: medianOf(known), worst, goal, verdict: verdictOf(goal, known, worst) },
    ]
  })
}

const UPWARD = ['attackRefused', 'failuresRefused', 'regulars', 'newcomers', 'newcomersLater']

/** Never detected, never calm: worse than any goal. */
const missing = (goal) => (goal?.most === undefined ? undefined : Number.POSITIVE_INFINITY)

function verdictOf(goal, sorted, worst) {
  if (goal === undefined) return ''
  if (meets(goal, worst)) return 'reached'
  return meets(goal, medianOf(sorted)) ? 'median only' : 'missed'
}

const meets = (goal, value) => (goal.least === undefined ? value <= goal.most : value >= goal.least)

function medianOf(sorted) {
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle]
  return (sorted[middle - 1] + sorted[middle]) / 2
}
