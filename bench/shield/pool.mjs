import { fork } from 'node:child_process'

const WORKER = new URL('./worker.mjs', import.meta.url)

/**
 * Runs jobs in worker processes, two at most. Results come in the order of the jobs.
 *
 * @param onResult called with each result as it comes, and how many there are by then
 */
export async function runJobs(jobs, workers, onResult) {
  const results = new Array(jobs.length)
  let next = 0
  let done = 0
  const work = async () => {
    const child = fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    try {
      while (next < jobs.length) {
        const index = next++
        results[index] = await ask(child, jobs[index])
        onResult(results[index], ++done)
      }
    } finally {
      child.kill()
    }
  }
  await Promise.all(Array.from({ length: Math.min(workers, 2, jobs.length) }, work))
  return results
}

function ask(child, job) {
  return new Promise((resolve, reject) => {
    const onExit = (code, signal) => reject(new Error(`a worker ended: ${signal ?? code}`))
    child.once('exit', onExit)
    child.once('message', (answer) => {
      child.off('exit', onExit)
      if (answer.error === undefined) resolve(answer)
      else reject(new Error(answer.error))
    })
    child.send(job)
  })
}
