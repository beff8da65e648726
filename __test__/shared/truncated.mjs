// Uses a table whose file is truncated under it, then removed: node truncated.mjs <name>

import { truncateSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as pause } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'

const name = process.argv[2]
const warnings = []
process.removeAllListeners('warning')
process.on('warning', ({ code }) => warnings.push(code))
const limiter = new RateLimiter('5/day', { name, shared: true })
const { sharedList } = createRequire(import.meta.url)('../../crate/napi/binding.cjs')
const { file } = sharedList().find(({ table }) => table?.name === name)
const path = `/dev/shm/ratethrottle-${process.geteuid()}/${file}`
const admitted = (checks) =>
  Array.from({ length: checks }, () => limiter.allow('k')).filter(Boolean)

const before = admitted(3).length
truncateSync(path)
const after = admitted(9).length
while (warnings.length < 1) await pause(50)
unlinkSync(path)
while (warnings.length < 2) await pause(50)
const renewed = admitted(9).length
unlinkSync(`/dev/shm/ratethrottle-${process.geteuid()}/${file}`)
console.log(JSON.stringify({ before, after, renewed, warnings }))
