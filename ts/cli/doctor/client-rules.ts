import { coversAllAddresses, readRanges } from '../../client-ip/cidr.ts'
import { printable } from '../../validate.ts'
import type { Finding } from './finding.ts'
import { type FileSetup, isObject, type LimiterSetup, type Options } from './setup.ts'

/* Options that let clients past a limit, whatever its figures. */

/** What a file says that opens a limiter, or a route, to all. */
export function clientFindings(setup: FileSetup): Finding[] {
  const { where, limiters, options } = setup
  const common = limiters.length === 0 ? [{ where, options, limits: [] }] : limiters
  return [...once(common.flatMap(ofLimiter)), ...ofRoutes(setup)]
}

/** An option that all limiters have from the file is told once. */
function once(findings: readonly Finding[]): Finding[] {
  const seen = new Map<string, Finding>()
  for (const finding of findings) {
    const key = `${finding.code} ${finding.what}`
    if (!seen.has(key)) seen.set(key, finding)
  }
  return [...seen.values()]
}

function ofLimiter({ where, options }: LimiterSetup): Finding[] {
  return [
    ...dryRun(where, options),
    ...allowsAll(where, options),
    ...trustsAll(where, options),
    ...forgeableKey(where, options),
    ...answers(where, options),
  ]
}

function dryRun(where: string, { dryRun: isDry }: Options): Finding[] {
  if (isDry !== true) return []
  return [
    {
      code: 'dry-run',
      severity: 'problem',
      where,
      what: 'dryRun: true',
      why: 'Denials are reported, and every request is served.',
      instead: 'dryRun: false, once the reports are as you want them',
    },
  ]
}

function allowsAll(where: string, { allow, cost }: Options): Finding[] {
  const found: Finding[] = []
  if (allow !== undefined && coversAll(allow)) {
    found.push({
      code: 'allows-all',
      severity: 'problem',
      where,
      what: `allow: ${shownList(allow)} is every address`,
      why: 'Addresses in allow are never limited.',
      instead: 'the ranges of your own machines, such as allow: ["10.0.0.0/8"]',
    })
  }
  if (cost === 0) {
    found.push({
      code: 'never-refuses',
      severity: 'problem',
      where,
      what: 'cost: 0',
      why: 'A request that costs nothing is never charged, so the limit never refuses one.',
      instead: 'cost: 1, or nothing',
    })
  }
  return found
}

function coversAll(list: unknown): boolean {
  try {
    const texts = typeof list === 'string' ? list.split(',').map((text) => text.trim()) : list
    return coversAllAddresses(readRanges(texts, 'allow').ranges)
  } catch {
    return false
  }
}

function shownList(list: unknown): string {
  return Array.isArray(list) ? list.slice(0, 3).map(printable).join(', ') : printable(list)
}

/** Words that other libraries and frameworks have for it, too: here they are errors, and are told by their cause. */
const TRUSTS_ALL: readonly unknown[] = ['everybody-even-if-forged', 'all', '*', true]

function trustsAll(where: string, { trust }: Options): Finding[] {
  const { proxies = trust } = isObject(trust) ? (trust as { proxies?: unknown }) : {}
  const isAll = TRUSTS_ALL.includes(proxies) || (proxies !== undefined && coversAll(proxies))
  if (!isAll && typeof proxies !== 'number') return []
  return [
    {
      code: 'trusts-everybody',
      severity: 'problem',
      where,
      what: `trust: ${shownList(proxies)}`,
      why: 'A client that reaches the server chooses the address that it is counted under, with a header of its own: it is not limited at all.',
      instead: 'the addresses of your proxies, such as trust: ["10.0.0.0/8"]',
    },
  ]
}

const KEY_BY_HEADER = /^(?:by)?header[:( ]\s*['"]?([\w-]+)/i

/** The header that a limiter counts by, in the forms that a file may have. */
function headerOf(key: unknown): string | undefined {
  if (typeof key === 'string') return KEY_BY_HEADER.exec(key)?.[1]
  if (!isObject(key)) return undefined
  const { byHeader, header } = key as { readonly byHeader?: unknown; readonly header?: unknown }
  const name = byHeader ?? header
  return typeof name === 'string' ? name : undefined
}

function forgeableKey(where: string, { key, trust }: Options): Finding[] {
  const header = headerOf(key)
  if (header === undefined || trust !== undefined) return []
  return [
    {
      code: 'forgeable-key',
      severity: 'problem',
      where,
      what: `key: by the header ${printable(header)}, and no proxy is trusted`,
      why: 'A client that can write the header gets a new limit with each value.',
      instead:
        'a key by address, or by a user that you have looked up; by a header only if your proxy sets it, beside trust',
    },
  ]
}

function answers(where: string, { headers, onError, onStoreError }: Options): Finding[] {
  const found: Finding[] = []
  if (headers === false) {
    found.push({
      code: 'headers-off',
      severity: 'warning',
      where,
      what: 'headers: false',
      why: 'Clients learn of the limit when they are refused: those that would pace themselves cannot.',
      instead: "headers: 'legacy', or 'draft'",
    })
  }
  if (onError === 'open' || onStoreError === 'open') {
    found.push({
      code: 'open-without-store',
      severity: 'warning',
      where,
      what: 'requests are admitted while the store fails',
      why: 'Who can overload the store turns the limit off.',
      instead: "onStoreError: 'local', the default: each process counts its share",
    })
  }
  return found
}

function ofRoutes({ where, options, limiters }: FileSetup): Finding[] {
  const { routes } = options
  const isUnlimited = isObject(routes) && routes['*'] === false
  if (isUnlimited) {
    return [
      {
        code: 'exempts-all',
        severity: 'warning',
        where,
        what: "routes: '*' is false",
        why: 'Every route that is not named is not limited.',
        instead: "'*' with the name of a limiter; false for single routes, such as 'GET /health'",
      },
    ]
  }
  if (limiters.length > 0) return []
  return [
    {
      code: 'no-limits',
      severity: 'problem',
      where,
      what: 'there is no limit',
      why: 'Nothing is refused.',
      instead: "limits: '100/minute'",
    },
  ]
}
