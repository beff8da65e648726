// Another user's process that tries a control socket: node stranger.mjs UID PATH
import { connect } from 'node:net'
import { ask } from '../../dist/control/client.js'

const [, , uid, path] = process.argv
process.setuid(Number(uid))
const connected = await new Promise((resolve) => {
  connect(path)
    .on('connect', () => resolve('yes'))
    .on('error', ({ code }) => resolve(code))
})
const asked = await ask(path, { command: 'about' }).then(
  () => 'yes',
  ({ code }) => code,
)
console.log(JSON.stringify({ connected, asked }))
process.exit()
