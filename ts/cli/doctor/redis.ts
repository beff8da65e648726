import { isRedisScheme, readUrl } from '../../redis/url.ts'
import { messageOf } from '../command.ts'
import type { Diagnosis, Finding } from './finding.ts'
import { Resp } from './resp.ts'

const TIMEOUT_MS = 3_000

/** What the Redis that a storage names says of itself. Changes nothing there. */
export async function redisDiagnosis(storage: string | undefined): Promise<Diagnosis> {
  const [scheme = ''] = storage?.split(':') ?? []
  if (storage === undefined || !isRedisScheme(scheme.toLowerCase()))
    return { facts: [], findings: [] }
  try {
    const { kind, hosts, credentials } = readUrl(storage)
    // A Sentinel knows no keys: that it answers is all there is to see.
    const info = await infoOf(hosts[0] as object, credentials, kind === 'sentinel')
    return diagnosisOf(info)
  } catch (error) {
    return { facts: [], findings: [unreachable(reasonOf(error))] }
  }
}

async function infoOf(
  host: object,
  { username, password, tls }: { username?: string; password?: string; tls?: object },
  isSentinel: boolean,
): Promise<ReadonlyMap<string, string>> {
  const server = await Resp.open(host, tls !== undefined, TIMEOUT_MS)
  try {
    // A Sentinel has a password of its own.
    if (password !== undefined && !isSentinel) {
      await server.call(username === undefined ? ['AUTH', password] : ['AUTH', username, password])
    }
    const text = await server.call(['INFO'])
    const pairs = text.split('\r\n').map((line) => line.split(':', 2) as [string, string])
    return new Map(pairs)
  } finally {
    server.close()
  }
}

function diagnosisOf(info: ReadonlyMap<string, string>): Diagnosis {
  const version = info.get('redis_version') ?? 'of an unknown version'
  const policy = info.get('maxmemory_policy') ?? 'unknown'
  const saves = info.get('aof_enabled') === '1' ? 'append-only file' : 'snapshots at most'
  const facts = [
    { where: 'Redis', what: `${version}, maxmemory-policy ${policy}, persistence: ${saves}` },
  ]
  const isEvicting = /^(?:allkeys|volatile)-/.test(policy)
  return { facts, findings: isEvicting ? [evicting(policy, info.get('maxmemory') ?? '0')] : [] }
}

function evicting(policy: string, maxmemory: string): Finding {
  return {
    code: 'redis-evicts',
    severity: 'problem',
    where: 'Redis',
    what: `maxmemory-policy ${policy}${maxmemory === '0' ? ', and no maxmemory yet' : ''}`,
    why: 'When its memory is full Redis forgets counters, and forgotten clients begin again with nothing used.',
    instead: 'maxmemory-policy noeviction, on a Redis of its own: counters expire by themselves',
  }
}

function unreachable(reason: string): Finding {
  return {
    code: 'redis-unreachable',
    severity: 'problem',
    where: 'Redis',
    what: reason,
    why: 'Each process counts its share by itself until it answers, or admits or denies all, as onError says.',
    instead: 'a URL that this host can reach: storage: redis://[[user]:password@]host[:port][/db]',
  }
}

/** Never the message of a driver: it may hold the address, and with it a password. */
function reasonOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown }
  return code === 'INVALID_STORAGE' || typeof code !== 'string' ? messageOf(error) : code
}
