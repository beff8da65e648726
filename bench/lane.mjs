import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * A lane is a child process that is kept alive and stepped through its message channel, so that
 * rounds of several subjects can take turns while each has a heap and a compiler of its own.
 * Only the lane that was asked works; the others sleep.
 */
export function openLane(script, task, { node = process.execPath, execArgv = [] } = {}) {
  const path = fileURLToPath(new URL(`./lanes/${script}.mjs`, import.meta.url))
  // The child's stdout goes to our stderr: stdout belongs to the result lines.
  const stdio = ['ignore', 2, 'inherit', 'ipc']
  const child = fork(path, [JSON.stringify(task)], { execPath: node, execArgv, stdio })
  const label = [script, task.case, task.subject].filter(Boolean).join(' ')
  return {
    ask: (verb, body = {}) => ask(child, label, { ...body, verb }),
    close: () => close(child),
  }
}

/** The task that `openLane` gave this process. */
export const readTask = () => JSON.parse(process.argv[2])

/** The child's end: each verb is a function whose answer, or error, is sent back. */
export function serveLane(verbs) {
  process.on('message', ({ verb, ...body }) => {
    void answer(verbs[verb], body).then((reply) => process.send(reply))
  })
  process.on('disconnect', () => process.exit())
}

/** Turns a handler's outcome into a message; a worker thread answers its lane in the same form. */
export async function answer(handler, body) {
  try {
    return { value: await handler(body) }
  } catch (error) {
    return { error: error.message }
  }
}

function ask(child, label, message) {
  return new Promise((resolve, reject) => {
    const settle = (finish) => {
      child.off('message', onReply).off('exit', onExit)
      finish()
    }
    const onReply = ({ value, error }) =>
      settle(() => (error === undefined ? resolve(value) : reject(new Error(`${label}: ${error}`))))
    const onExit = (code, signal) =>
      settle(() => reject(new Error(`${label}: the process ended (${signal ?? `exit ${code}`})`)))
    child.on('message', onReply).on('exit', onExit)
    if (child.exitCode === null && child.connected) child.send(message)
    else onExit(child.exitCode, child.signalCode)
  })
}

/** By signal: a child that is still starting up would miss the end of its channel. */
function close(child) {
  if (child.exitCode !== null || child.signalCode !== null) return undefined
  return new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill()
  })
}
