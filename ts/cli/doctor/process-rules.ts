import type { LimitReport, Report } from '../../insight/types.ts'
import type { Given } from '../command.ts'
import { askEach, type Process, reachable } from '../live/processes.ts'
import { cell } from '../text.ts'
import { memoryFinding, unknownSettings } from './environment-rules.ts'
import type { Diagnosis, Fact, Finding } from './finding.ts'
import { limitFindings } from './limit-rules.ts'
import { limitsOf } from './setup.ts'

/** Requests after which figures say something. */
const ENOUGH = 20

interface Running {
  readonly pid: number
  readonly about: Process['about']
  readonly report: Report
}

/** What the processes with a control socket say: of all, or of the one that is meant. */
export async function processDiagnosis(given: Given): Promise<Diagnosis> {
  const found = await reachable(given)
  const answers = await askEach(found, { command: 'report' })
  const running = answers.flatMap(({ pid, answer }, i) =>
    answer === undefined ? [] : [{ pid, about: (found[i] as Process).about, report: answer }],
  )
  const perProcess = running.map(ofProcess)
  return {
    facts: perProcess.flatMap(({ facts }) => facts),
    findings: [...perProcess.flatMap(({ findings }) => findings), ...memoryOfSeveral(running)],
  }
}

function ofProcess({ pid, about, report }: Running): Diagnosis {
  const where = `process ${pid}`
  const facts: Fact[] = report.limits.map((each) => ({
    where,
    what: `${cell(each.name)}: ${cell(each.limits.join(', ') || 'limits by request')}, ${each.algorithm ?? 'unknown'}, tier ${each.tier ?? 'unknown'}`,
  }))
  const findings = [
    ...report.limits.flatMap((each) => ofLimit(where, each)),
    ...exemptions(where, report),
    ...unknownSettings(about.settings, where),
    ...memoryOfWorker(where, about, report),
    ...report.stores.flatMap((store) => (store.available ? [] : [noStore(where, store)])),
    ...(report.config?.stale || about.configs.some((config) => config.stale) ? [stale(where)] : []),
  ]
  return { facts, findings }
}

function ofLimit(process: string, each: LimitReport): Finding[] {
  const where = `${process}: ${cell(each.name)}`
  const { algorithm, evictions, dry, denied, limits } = each
  const found = limitFindings({ where, limits: limits.flatMap(limitsOf), options: { algorithm } })
  if (dry > 0 && denied === 0) {
    found.push({
      code: 'dry-run',
      severity: 'problem',
      where,
      what: `${dry} denials were only reported`,
      why: 'A dry run serves every request.',
      instead: 'dryRun: false, once the reports are as you want them',
    })
  }
  if (typeof evictions === 'number' && evictions > 0) {
    found.push({
      code: 'small-capacity',
      severity: 'problem',
      where,
      what: `${evictions} keys were forgotten because the table was full; ${each.liveKeys ?? '?'} are live`,
      why: 'Keys that are forgotten begin again with nothing used.',
      instead: 'a capacity of the clients in the longest window: option capacity',
    })
  }
  return found
}

/** Requests that pass without being counted: option skip, allow or methods. */
function exemptions(where: string, { routes }: Report): Finding[] {
  return routes.flatMap(({ limit, route, exempt, admitted, denied, dry }) => {
    if (exempt < ENOUGH || admitted + denied + dry > 0) return []
    return [
      {
        code: 'exempts-all',
        severity: 'problem' as const,
        where: `${where}: ${cell(limit)}, ${cell(route)}`,
        what: `all ${exempt} requests were exempt`,
        why: 'Option skip, allow or methods lets every request of this route pass.',
        instead:
          'narrower ones: the ranges of your own machines, the methods that change something',
      },
    ]
  })
}

function noStore(where: string, { limit, reason }: Report['stores'][number]): Finding {
  return {
    code: 'redis-unreachable',
    severity: 'problem',
    where: `${where}: ${cell(limit)}`,
    what: `its store does not answer: ${cell(reason ?? 'no reason is known')}`,
    why: 'Each process counts its share by itself meanwhile, or admits or denies all, as onError says.',
    instead: 'see what the store says; npx ratethrottle doctor --redis URL asks it',
  }
}

function stale(where: string): Finding {
  return {
    code: 'stale-config',
    severity: 'problem',
    where,
    what: 'the last reload of its configuration file failed',
    why: 'The limits are those of the file before.',
    instead: 'npx ratethrottle config check FILE says why; then npx ratethrottle reload',
  }
}

/** A process manager runs several of it, though this may be the only one that answers. */
function memoryOfWorker(
  where: string,
  { cluster }: Process['about'],
  { limits }: Report,
): Finding[] {
  const inMemory = limits.filter(({ tier }) => tier === 'memory').map(({ name }) => cell(name))
  if (cluster === undefined || inMemory.length === 0) return []
  const manager = cluster === 'pm2' ? 'PM2' : 'node:cluster'
  return [
    memoryFinding(
      where,
      `${inMemory.join(', ')}: in memory, and ${manager} runs several processes`,
    ),
  ]
}

/** Limiters of one name, in memory, in several processes. */
function memoryOfSeveral(running: readonly Running[]): Finding[] {
  const pids = new Map<string, number[]>()
  for (const { pid, about, report } of running) {
    // Told already.
    if (about.cluster !== undefined) continue
    for (const { name, tier } of report.limits) {
      if (tier === 'memory') pids.set(name, [...(pids.get(name) ?? []), pid])
    }
  }
  return [...pids].flatMap(([name, all]) =>
    all.length < 2
      ? []
      : [
          memoryFinding(
            cell(name),
            `processes ${all.join(', ')} each count in memory of their own`,
          ),
        ],
  )
}
