// node yaml.mjs: what becomes of a YAML file, in a program and on the command line.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { loadConfig } from 'ratethrottle/config'

const file = 'limits.yaml'
writeFileSync(file, 'limiters:\n  api:\n    limits: 2/minute\n')
const loaded = await loadConfig(file).then(
  (config) => Object.keys(config.toJSON().limiters),
  ({ code, message }) => ({ code, message }),
)
const root = dirname(createRequire(import.meta.url).resolve('ratethrottle/package.json'))
const command = [join(root, 'dist/cli/main.js'), 'config', 'check', file]
const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' })
console.log(JSON.stringify({ loaded, status, said: `${stdout}${stderr}` }))
