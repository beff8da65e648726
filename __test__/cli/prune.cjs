// In an empty /dev/shm: files of a limiter and of a shield that are trusted, one that is not but in use, one that is
// neither; prunes them.
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const { join } = require('node:path')
const { RateLimiter } = require('ratethrottle')
const { shield } = require('ratethrottle/shield')

const FOLDER = `/dev/shm/ratethrottle-${process.geteuid()}`
const prune = () =>
  process.stdout.write(execFileSync(process.execPath, [process.argv[2], 'shared', 'prune']))

new RateLimiter('1/day', { name: 'good', shared: true }).close()
const [good] = fs.readdirSync(FOLDER)
const used = new RateLimiter('1/day', { name: 'used', shared: true })
const file = join(
  FOLDER,
  fs.readdirSync(FOLDER).find((name) => name !== good),
)
fs.chmodSync(file, 0o644)
fs.writeFileSync(join(FOLDER, 'odd'), 'odd', { mode: 0o644 })
shield({ name: 'guard', shared: true }).close()
prune()
prune()
used.close()
prune()
