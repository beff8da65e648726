/**
 * Lets several lanes take turns, round by round: a slow second of the machine then falls on all of
 * them and not on one. Each round starts with the next lane, so that none always follows the same.
 * Answers, per lane, what its rounds answered.
 */
export async function takeTurns(lanes, rounds, step) {
  const results = lanes.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < lanes.length; turn++) {
      const index = (round + turn) % lanes.length
      results[index].push(await step(lanes[index]))
    }
  }
  return results
}

/** Opens a lane per task, hands them over and closes them whatever happens. */
export async function withLanes(tasks, open, use) {
  const lanes = tasks.map(open)
  try {
    return await use(lanes)
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()))
  }
}
