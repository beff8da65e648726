import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../../fixtures/child.ts'
import { until } from '../../redis/faults.ts'
import { DiaryReader, newTally, type Pause, type Tally } from './diary-reader.ts'
import { Overlap } from './overlap.ts'

/** What a storm is made of. */
export interface Weather {
  /** The program of its processes, beside this file. It gets `options` and the `diary` that it writes, as JSON. */
  readonly program: string
  readonly options: object
  readonly processes: number
  /** A lease; infinite where a permit counts for as long as its process lives. */
  readonly leaseMs: number
}

/** What becomes of it. */
export interface Course {
  readonly steps: number
  /** Steps from one fault to the next. */
  readonly ofRound: number
  readonly faults: readonly (() => Promise<void>)[]
  /** Whether all has come about that is to be shown. */
  readonly isShown: () => boolean
  /** How long no fault comes before each round that is added for that: faults end what takes long. */
  readonly restMs?: number
}

const [MAX_ROUNDS, ROUND_MS] = [40, 120_000]

interface Process {
  readonly child: ChildProcess
  readonly pauses: Pause[]
}

/** Processes that take permits, and what their diaries say. No step of theirs waits for it. */
export class Storm {
  readonly overlap = new Overlap()
  readonly tally: Tally = newTally()
  kills = 0
  pauses = 0
  readonly #begun = performance.now()
  readonly #weather: Weather
  readonly #directory = mkdtempSync(join(tmpdir(), 'ratethrottle-storm-'))
  readonly #readers = new Map<string, DiaryReader>()
  readonly #pausesOf = new Map<string, Pause[]>()
  #processes: Process[] = []
  #count = 0

  constructor(weather: Weather) {
    this.#weather = weather
    for (let i = 0; i < weather.processes; i++) this.#start()
  }

  /** Permits taken, permits given back and refusals that were decided where permits are counted. */
  get steps(): number {
    const { taken, released, refused } = this.tally
    return taken + released + refused
  }

  /**
   * Lets the processes go on until they have taken that many steps, with a fault now and then. Goes on for some rounds more
   * if what the test is about did not come about: on a busy machine it may not.
   */
  async rage({ steps, ofRound, faults, isShown, restMs = 0 }: Course): Promise<void> {
    for (let round = 0; this.steps < steps || (round < MAX_ROUNDS && !isShown()); round++) {
      if (this.steps >= steps) await sleep(restMs)
      const enough = this.steps + ofRound
      await until(() => this.#read() >= enough, ROUND_MS, 'more steps')
      await faults[round % faults.length]?.()
      if (round % 50 === 49) console.log(`${this.steps} steps, ${round + 1} faults`)
    }
  }

  /** Kills one process, and starts another. */
  async kill(): Promise<void> {
    const [victim] = this.#processes.splice(this.kills % this.#processes.length, 1)
    await killed(victim)
    this.kills++
    this.#start()
  }

  /** Stops one process for so long. */
  async pause(ms: number): Promise<void> {
    const victim = this.#processes[this.pauses % this.#processes.length]
    if (victim === undefined) return
    const { child, pauses } = victim
    child.kill('SIGSTOP')
    while (!isStopped(child.pid)) await sleep(1)
    const from = now()
    await sleep(ms)
    const to = now()
    // Its permits are lost for certain if it stood still for a whole lease.
    if (to - from > (this.#weather.leaseMs + 1) * 1e6) pauses.push({ from, to })
    child.kill('SIGCONT')
    this.pauses++
  }

  /** Reads what the diaries say up to now. @returns how many steps have been taken */
  #read(): number {
    for (const file of readdirSync(this.#directory)) {
      const path = join(this.#directory, file)
      const pauses = this.#pausesOf.get(file.split('.')[0] ?? '') ?? []
      const { leaseMs } = this.#weather
      const reader = this.#readers.get(path) ?? new DiaryReader(path, leaseMs, pauses)
      this.#readers.set(path, reader)
      reader.read(this.overlap, this.tally)
    }
    return this.steps
  }

  /** Kills them all, and says what it was. */
  async end(): Promise<object> {
    await Promise.all(this.#processes.splice(0).map(killed))
    const { kills, pauses } = this
    const figures = { kills, pauses, tally: this.tally }
    if (!existsSync(this.#directory)) return figures
    const seconds = Math.round((performance.now() - this.#begun) / 1_000)
    this.#read()
    for (const reader of this.#readers.values()) reader.end(this.overlap, this.tally)
    this.#readers.clear()
    rmSync(this.#directory, { recursive: true, force: true })
    return { steps: this.steps, seconds, ...figures }
  }

  #start(): void {
    const name = `${this.#count++}`
    const pauses: Pause[] = []
    this.#pausesOf.set(name, pauses)
    const options = { ...this.#weather.options, diary: join(this.#directory, name) }
    const program = join(ROOT, '__test__/permits/storm', this.#weather.program)
    const child = fork(program, [JSON.stringify(options)])
    this.#processes.push({ child, pauses })
  }
}

async function killed(one: Process | undefined): Promise<void> {
  if (one === undefined || one.child.exitCode !== null || one.child.signalCode !== null) return
  const ended = once(one.child, 'exit')
  one.child.kill('SIGKILL')
  await ended
}

function isStopped(pid: number | undefined): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
}

/** As the diaries have it. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e9 + nanoseconds
}
