// A process that shares limits with its siblings. Each message is a list of a command and what it
// takes; each is answered with its result.
import { RedisLimiter } from 'ratethrottle/redis'

const { url, limit, options = {} } = JSON.parse(process.argv[2])
const limiters = new Map()

function limiterOf(name) {
  const known =
    limiters.get(name) ?? new RedisLimiter(limit, { url, name: name || 'limits', ...options })
  limiters.set(name, known)
  return known
}

const commands = {
  open: (name) => limiterOf(name) !== undefined,
  // Checks one unit `times` times, some at once, and returns how many were admitted.
  ask: async (name, key, times) => {
    let admitted = 0
    for (let i = 0; i < times; i += 20) {
      const some = Array.from({ length: Math.min(20, times - i) }, () => limiterOf(name).check(key))
      for (const { allowed } of await Promise.all(some)) if (allowed) admitted++
    }
    return admitted
  },
  look: async (name) => (await limiterOf(name).check('is it there?', 0)).remaining,
  processes: (name) => limiterOf(name).stats().processes,
  // Calls so far that Redis did not decide.
  failures: (name) =>
    Object.values(limiterOf(name).stats().failures).reduce((sum, count) => sum + count, 0),
  close: async () => {
    await Promise.all([...limiters.values()].map((limiter) => limiter.close()))
    return true
  },
}

process.on('message', async ([id, command, ...given]) => {
  try {
    process.send([id, await commands[command](...given), ''])
  } catch (error) {
    process.send([id, 0, `${error?.name}: ${error?.message}`])
  }
})
process.on('disconnect', () => process.exit())
process.send('ready')
