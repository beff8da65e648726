import { statfsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { LIKE_A_SETTING } from '../../control/about.ts'
import { isRedisScheme } from '../../redis/url.ts'
import { SETTINGS, sharedName, withSettings } from '../../storage-url.ts'
import { closestTo, printable } from '../../validate.ts'
import { messageOf } from '../command.ts'
import type { Diagnosis, Finding } from './finding.ts'
import type { FileSetup } from './setup.ts'

const MOST_BYTES_A_KEY = 64
const DEFAULT_CAPACITY = 100_000

/** What the environment of this call says: the service's own, if it is called as the service is. */
export function environmentDiagnosis(
  setup: FileSetup | undefined,
  environment: NodeJS.ProcessEnv,
): Diagnosis {
  const facts = [{ where: 'Node', what: process.versions.node }]
  const findings = [
    ...settings(environment),
    ...memoryOfMany(setup, environment),
    ...room(setup),
    ...peers(storageOf(setup, environment)),
  ]
  const storage = storageOf(setup, environment)
  if (storage !== undefined) facts.push({ where: 'storage', what: tierOf(storage) })
  return { facts, findings }
}

/** Where the counters live: as the file says, or else the environment. */
export function storageOf(
  setup: FileSetup | undefined,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  const { storage } = setup?.options ?? {}
  if (typeof storage === 'string') return storage
  return settingIn(environment) || (setup === undefined ? undefined : 'memory:')
}

function settingIn({ RATELIMIT_STORAGE_URL }: NodeJS.ProcessEnv): string | undefined {
  return RATELIMIT_STORAGE_URL
}

/** The tier, without the URL: it may hold a password. */
function tierOf(storage: string): string {
  const [scheme = ''] = storage.split(':')
  if (scheme === 'memory') return 'memory of each process'
  return scheme === 'shared'
    ? 'memory that processes of this host share'
    : `a server: ${printable(`${scheme}:...`)}`
}

/** Variables that are not read, or cannot be. */
function settings(environment: NodeJS.ProcessEnv): Finding[] {
  const found = unknownSettings(Object.keys(environment), 'environment')
  if (found.length > 0) return found
  try {
    withSettings({}, environment)
    return []
  } catch (error) {
    return [
      {
        code: 'unknown-setting',
        severity: 'problem',
        where: 'environment',
        what: messageOf(error),
        why: 'A service with this variable does not start.',
        instead: 'a value that the message names',
      },
    ]
  }
}

/** Those of these variables that are no settings, and were meant as one. */
export function unknownSettings(names: readonly string[], where: string): Finding[] {
  return names.flatMap((name) => {
    if (SETTINGS.includes(name) || !LIKE_A_SETTING.test(name)) return []
    const meant = closestTo(name, SETTINGS)
    const isOurs = name.startsWith('RATELIMIT_')
    if (meant === undefined && !isOurs) return []
    return [
      {
        code: 'unknown-setting',
        severity: 'problem' as const,
        where: `${where}: ${printable(name)}`,
        what: 'there is no such setting',
        why: isOurs
          ? 'A service with this variable does not start.'
          : 'It is not read, so the setting that was meant has its default.',
        instead: meant ?? SETTINGS.join(', '),
      },
    ]
  })
}

/** Several processes, each with counters of its own. */
function memoryOfMany(setup: FileSetup | undefined, environment: NodeJS.ProcessEnv): Finding[] {
  const storage = storageOf(setup, environment)
  if (storage === undefined || !storage.startsWith('memory:')) return []
  const sign = severalIn(environment)
  if (sign === undefined) return []
  return [memoryFinding('storage', `the counters are in the memory of each process, and ${sign}`)]
}

/** The finding for counters that each of several processes has for itself. */
export function memoryFinding(where: string, what: string): Finding {
  return {
    code: 'memory-of-several-processes',
    severity: 'problem',
    where,
    what,
    why: 'Each process admits the whole limit: with four processes, four times as much.',
    instead: "storage: 'shared:api' for the processes of one host, or the URL of a Redis",
  }
}

function severalIn(environment: NodeJS.ProcessEnv): string | undefined {
  const { NODE_APP_INSTANCE, pm_id, instances, WEB_CONCURRENCY, NODE_UNIQUE_ID } = environment
  if (NODE_APP_INSTANCE !== undefined) return 'NODE_APP_INSTANCE is set: PM2 runs several'
  if (NODE_UNIQUE_ID !== undefined) return 'this is a worker of node:cluster'
  if (Number(WEB_CONCURRENCY) > 1) return `WEB_CONCURRENCY is ${Number(WEB_CONCURRENCY)}`
  const isSeveral = pm_id !== undefined && instances !== undefined && instances !== '1'
  return isSeveral ? 'PM2 runs several' : undefined
}

/** Packages that a storage needs. */
function peers(storage: string | undefined): Finding[] {
  const [scheme = ''] = storage?.split(':') ?? []
  if (!isRedisScheme(scheme.toLowerCase())) return []
  try {
    createRequire(join(process.cwd(), 'package.json')).resolve('ioredis')
    return []
  } catch {
    return [
      {
        code: 'missing-peer',
        severity: 'problem',
        where: 'storage',
        what: 'the package ioredis is not installed in this directory',
        why: 'A service that counts in Redis does not start without it.',
        instead: 'npm install ioredis',
      },
    ]
  }
}

/** Memory that processes share has to be there at the start. */
function room(setup: FileSetup | undefined): Finding[] {
  const { storage, capacity = DEFAULT_CAPACITY } = setup?.options ?? {}
  if (sharedName(storage) === undefined || setup === undefined) return []
  const where = '/dev/shm'
  const limits = setup.limiters.reduce((sum, limiter) => sum + limiter.limits.length, 0)
  const bytes = Number(capacity) * limits * MOST_BYTES_A_KEY
  const free = freeIn(where)
  if (free !== undefined && free >= bytes) return []
  return [
    {
      code: 'no-room',
      severity: 'problem',
      where,
      what: free === undefined ? 'it is missing' : `${Math.round(free / 2 ** 20)} MB are free`,
      why: `The counters take up to ${Math.ceil(bytes / 2 ** 20)} MB there: the service would not start.`,
      instead: 'a smaller capacity, or more room: docker run --shm-size=256m',
    },
  ]
}

function freeIn(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch {
    return undefined
  }
}
