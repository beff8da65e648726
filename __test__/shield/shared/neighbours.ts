import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ROOT } from '../../fixtures/child.ts'

const FILE = join(ROOT, '__test__/shield/shared/neighbour.mjs')

/** A process or a thread that uses the same shield. */
export interface Neighbour {
  /** Calls a function of its guard. */
  call(name: string, ...args: unknown[]): Promise<unknown>
  /** Ends it as the kernel does, or waits until it has ended. */
  end(): Promise<void>
}

interface Port {
  once(event: 'message', listener: (message: unknown) => void): unknown
  onExit(listener: () => void): unknown
  send(message: unknown): void
  end(): Promise<void>
}

/** Waits until it is ready. Answers come in the order of the calls. */
async function neighbour(port: Port): Promise<Neighbour> {
  const waiting = new Set<(error: Error) => void>()
  port.onExit(() => {
    for (const reject of waiting) reject(new Error('it has ended'))
  })
  const next = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.add(reject)
      port.once('message', (message) => {
        waiting.delete(reject)
        resolve(message)
      })
    })
  const first = await next()
  if (first !== 'ready') throw Object.assign(new Error('no shield'), first)
  return {
    call: async (...what) => {
      const answered = next()
      port.send(what)
      return ((await answered) as { value: unknown }).value
    },
    end: () => port.end(),
  }
}

/** A new process. */
export async function startProcess(options: object): Promise<Neighbour & { child: ChildProcess }> {
  const child = fork(FILE, [JSON.stringify(options)])
  const started = await neighbour({
    once: (event, listener) => child.once(event, listener),
    onExit: (listener) => child.once('exit', listener),
    send: (message) => child.send(message as object),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  })
  return { ...started, child }
}

/** A new thread of this process. */
export function startThread(options: object): Promise<Neighbour> {
  const worker = new Worker(FILE, { workerData: options })
  return neighbour({
    once: (event, listener) => worker.once(event, listener),
    onExit: (listener) => worker.once('exit', listener),
    send: (message) => worker.postMessage(message),
    end: async () => void (await worker.terminate()),
  })
}
