import { idOf, type RecentKey } from '../../insight/recent-keys.ts'
import type { LimitReport, TopKey } from '../../insight/types.ts'
import { cell, percent } from '../text.ts'
import { mergeTop } from './merge.ts'

/** The limiters, those that deny most first. */
export function limitTable(limits: readonly LimitReport[], seconds?: number): string[][] {
  const sorted = limits.toSorted((a, b) => b.denied - a.denied || b.admitted - a.admitted)
  const count = (n: number): string => (seconds === undefined ? `${n}` : (n / seconds).toFixed(1))
  const unit = seconds === undefined ? '' : '/s'
  // Dry runs refuse nothing: what they would have denied stands apart, where there are any.
  const hasDry = limits.some(({ dry }) => dry > 0)
  const ofDry = (text: string): string[] => (hasDry ? [text] : [])
  const head = [
    'limit',
    'tier',
    'limits',
    `admitted${unit}`,
    `denied${unit}`,
    ...ofDry(`dry${unit}`),
    'share',
    'binds',
    'keys',
  ]
  const rows = sorted.map((each) => [
    cell(each.name),
    each.tier ?? '-',
    cell(each.limits.join(', ') || 'by request'),
    count(each.admitted),
    count(each.denied),
    ...ofDry(count(each.dry)),
    percent(each.denied + each.dry, each.admitted + each.denied + each.dry),
    binding(each),
    `${each.liveKeys ?? '-'}`,
  ])
  return [head, ...rows]
}

/** The limit that denied most. */
function binding({ limits, deniedBy }: LimitReport): string {
  const most = Math.max(0, ...deniedBy)
  return most === 0 ? '-' : cell(limits[deniedBy.indexOf(most)] ?? '-')
}

/** Keys, as the process shows them. */
export function keyTable(keys: readonly TopKey[], most: number): string[][] {
  const rows = keys.slice(0, most).map((each) => [cell(each.key), cell(each.limit), times(each)])
  return [['key', 'limit', 'times'], ...rows]
}

function times({ count, error }: TopKey): string {
  return error === 0 ? `${count}` : `${count - error} to ${count}`
}

/** Keys with how often they came lately, the most first, and since the start. */
export function recentTable(
  keys: readonly TopKey[],
  recent: readonly RecentKey[],
  lately: string,
  most: number,
): string[][] {
  const counts = new Map(recent.map((one) => [idOf(one), one.count]))
  const recently = (one: TopKey): number => counts.get(idOf(one)) ?? 0
  const rows = mergeTop(keys)
    .sort((a, b) => recently(b) - recently(a) || b.count - a.count)
    .slice(0, most)
    .map((each) => [cell(each.key), cell(each.limit), `${recently(each)}`, times(each)])
  return [['key', 'limit', lately, 'since the start'], ...rows]
}
