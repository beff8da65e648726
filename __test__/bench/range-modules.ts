import { join } from 'node:path'
import { ROOT } from '../fixtures/child.ts'

/** A module of the attack range: these have no types. */
export const load = (name: string) => import(join(ROOT, 'bench/shield', `${name}.mjs`))

/** Some figures of a run, in percent, and the most that was served in a second. */
export interface Figures {
  readonly regulars: number
  readonly newcomers: number
  readonly attackRefused: number
  readonly carrierRefused: number
  readonly refusedPeace: number
  readonly innocentsBlocked: number
  readonly mostServed: number
}

/** Runs a scenario once. */
export async function figuresOf(name: string, contender: string, seed = 1): Promise<Figures> {
  const { ALL_SCENARIOS, toScenario } = await load('scenarios')
  return figuresOfScenario(toScenario({ name, ...ALL_SCENARIOS[name] }), contender, seed)
}

/** Runs a scenario that is given with all its numbers. */
export async function figuresOfScenario(
  scenario: object,
  contender: string,
  seed: number,
): Promise<Figures> {
  const { CONTENDERS } = await load('contenders')
  const { runOnce } = await load('run')
  const made = CONTENDERS[contender](scenario)
  try {
    return runOnce(scenario, seed, made).figures()
  } finally {
    made.close()
  }
}
