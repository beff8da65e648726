import binding from '#binding'
import type { ErrorCode } from '../errors.ts'
import type { OnMismatch, ResolvedOptions } from '../options.ts'
import { printable, withCode } from '../validate.ts'

/** The functions of one limiter, and the buffers that hold the numbers of the last call. */
export type Native = ReturnType<typeof binding.open>

/** The functions of a limiter whose limits are written to `limits` before each call. */
export type NativeVariable = ReturnType<typeof binding.openVariable>

/** The functions that step from one record of a policy to the next, and the buffers for their numbers. */
export type NativeStored = ReturnType<typeof binding.openStored>

/** A file in the directory of shared tables. */
export type SharedEntry = ReturnType<typeof binding.sharedList>[number]

/** The files in the directory of this user's shared tables. Changes nothing. */
export const sharedList: () => SharedEntry[] = binding.sharedList
/** Removes a file from there, unless processes are attached to it. */
export const sharedRemove: (file: string) => void = binding.sharedRemove

/**
 * Makes a native limiter, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the limits can't be counted exactly or the options clash
 */
export const open: typeof binding.open = withPublicErrors(binding.open)

/**
 * Makes a native limiter whose limits come with each call, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the options clash
 */
export const openVariable: typeof binding.openVariable = withPublicErrors(binding.openVariable)

/** The numbers with which the core counts limits, for scripts that count the same way in a store. */
export const policyArgs: typeof binding.policyArgs = binding.policyArgs

/**
 * Makes the functions that decide about records of bytes, for limits in a store.
 *
 * @throws RangeError with the core's code if the limits can't be counted exactly
 */
export const openStored: typeof binding.openStored = withPublicErrors(binding.openStored)

/** The functions of a shield, and the buffers that hold the numbers of the last call. */
export type NativeShield = ReturnType<typeof binding.openShield>

/**
 * Makes the state of a shield and the functions on it.
 *
 * @throws RangeError with the core's code if there is no memory for it
 */
export const openShield: typeof binding.openShield = withPublicErrors(binding.openShield)

/** The functions of an insight, and the buffers for what is added and read. */
export type NativeInsight = ReturnType<typeof binding.openInsight>

/**
 * Makes the memory of an insight and the functions on it.
 *
 * @throws RangeError with the core's code if there is no memory for it
 */
export const openInsight: typeof binding.openInsight = withPublicErrors(binding.openInsight)

/** The functions on permits, and the buffers that hold the numbers of the last call. */
export type NativePermits = ReturnType<typeof binding.openPermits>

/**
 * Makes permits, or joins those of the same name, and the functions on them.
 *
 * @throws RangeError with the core's code if the name is in use with other limits, or there is no memory
 */
export const openPermits: typeof binding.openPermits = withPublicErrors(binding.openPermits)

function withPublicErrors<O extends object, N>(openNative: (options: O) => N): (options: O) => N {
  return (options) => {
    try {
      // No prototype: the addon would read from a polluted one what is left out here.
      return openNative(Object.assign(Object.create(null) as O, options))
    } catch (error) {
      throw toPublicError(error)
    }
  }
}

/**
 * A RangeError for what is wrong with an argument, an Error for what is wrong with the system. They differ by
 * code: in Jest the addon throws errors of another realm, which are instances of none of the classes here.
 */
function toPublicError(error: unknown): unknown {
  if (!hasCode(error)) return error
  const { code, message } = error
  return withCode(isOfSystem(error) ? new Error(message) : new RangeError(message), code)
}

/** Whether there can be no shared state. */
function isOfSystem({ code }: CodedError): boolean {
  return code.startsWith('SHARED_') || code === 'NOT_AVAILABLE'
}

interface CodedError {
  readonly code: ErrorCode
  readonly message: string
}

function hasCode(error: unknown): error is CodedError {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error
}

/**
 * How long processes may count separately after the file they share was deleted, as systemd does at log-out.
 * No request waits for the check.
 */
const CHECK_EVERY_MS = 2_000

/** What the native `renew` answers in `wide[0]`, besides 0 for a file that is still the shared one. */
const REATTACHED = 1
const DETACHED = 2

type Watchable = Pick<Native, 'close' | 'renew' | 'stats' | 'wide'>

/** How warnings speak of what is shared. */
interface Subject {
  readonly noun: string
  /** What makes two of one name different. */
  readonly settings: string
}

const LIMITER: Subject = {
  noun: 'limiter',
  settings: 'limits, algorithm, burst, blockFor or capacity',
}

/** The options of a limiter or a shield that say who shares it. */
type AttachOptions = Pick<ResolvedOptions, 'name' | 'shared' | 'onMismatch'> & {
  readonly subject?: Subject
}

/**
 * Opens a native limiter or shield. One that processes share is watched until `close` is called or `handleOf` is garbage.
 *
 * @param handleOf what callers hold: they may keep only a limiter's `allow`, and that must keep the watch
 * @param onReattached the native side has forgotten the last key
 * @throws Error with a code for no shared state, unless `onMismatch` is `'private'`
 */
export function openWatched<O extends object, N extends Watchable>(
  open: (options: O & { name?: string; shared?: boolean }) => N,
  options: O,
  { name, shared, onMismatch, subject = LIMITER }: AttachOptions,
  handleOf: (native: N) => object,
  onReattached: () => void,
): { readonly native: N; readonly close: () => void } {
  if (name === undefined) {
    const native = open(options)
    return { native, close: native.close }
  }
  const openNamed = (more: object): N => named(() => open({ ...options, ...more }), subject)
  if (!shared) {
    const native = openNamed({ name })
    return { native, close: native.close }
  }
  const native = openShared(openNamed, name, onMismatch, subject)
  const endWatch = watch(native, handleOf(native), name, onReattached)
  const close = (): void => {
    native.close()
    endWatch()
  }
  return { native, close }
}

/** The core knows no subjects: it speaks of limiters. */
function named<N>(open: () => N, { noun, settings }: Subject): N {
  try {
    return open()
  } catch (error) {
    if (!hasCode(error) || error.code !== 'NAME_IN_USE') throw error
    const message = `name must be unique, or have the same settings: a ${noun} of this name exists in this process with other ${settings}`
    throw withCode(new RangeError(message), error.code)
  }
}

function openShared<N extends Watchable>(
  open: (options: { name: string; shared?: boolean }) => N,
  name: string,
  onMismatch: OnMismatch,
  subject: Subject,
): N {
  try {
    const native = open({ name, shared: true })
    warnOfConflicts(native, name, subject)
    return native
  } catch (error) {
    if (onMismatch !== 'private' || !hasCode(error) || !isOfSystem(error)) throw error
    const message = `the ${subject.noun} ${printable(name)} counts in this process alone: ${error.message}`
    warn('RATETHROTTLE_SHARED_PRIVATE', name, message)
    // The threads of this process still count together.
    return open({ name: `shared ${name}` })
  }
}

/** Other settings are another state: while processes with the old ones run, both states admit. */
function warnOfConflicts(native: Watchable, name: string, { noun, settings }: Subject): void {
  native.stats()
  const [, , , conflicting = 0] = native.wide
  if (conflicting === 0) return
  const message =
    `other processes share the ${noun} ${printable(name)} with other ${settings}; ` +
    'they and this process are counted separately until those processes exit'
  warn('RATETHROTTLE_SHARED_SETTINGS', name, message)
}

/** What `watch` needs, for as long as callers can reach the limiter. */
const watched = new WeakMap<object, object>()

/**
 * Checks now and then whether the file is still the one that other processes find under the name, and
 * reattaches the limiter if not. Keeps neither the process nor the limiter alive.
 */
function watch(
  native: Watchable,
  handle: object,
  name: string,
  onReattached: () => void,
): () => void {
  const limiter = { native, onReattached }
  watched.set(handle, limiter)
  const weak = new WeakRef(limiter)
  const timer = setInterval(() => {
    const found = weak.deref()
    if (found === undefined) clearInterval(timer)
    else reattach(found.native, name, found.onReattached)
  }, CHECK_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function reattach(native: Watchable, name: string, onReattached: () => void): void {
  native.renew()
  const [attachment] = native.wide
  const file = `the shared file for ${printable(name)}`
  if (attachment === REATTACHED) {
    onReattached()
    warn('RATETHROTTLE_SHARED_RENEWED', name, `${file} was deleted; counters were reset`)
  } else if (attachment === DETACHED) {
    const meanwhile = 'this process counts for itself until one can be made'
    const message = `${file} was deleted and cannot be replaced; ${meanwhile}: see "npx ratethrottle shared list"`
    warn('RATETHROTTLE_SHARED_LOST', name, message)
  }
}

/** The most warnings of one process: one for each code and name. */
const MAX_WARNINGS = 1024
const warned = new Set<string>()

/** Warns once of each thing for each name. docs/reference/warnings.md explains each code. */
function warn(code: string, name: string, message: string): void {
  const warning = `${code} ${name}`
  if (warned.has(warning) || warned.size >= MAX_WARNINGS) return
  warned.add(warning)
  process.emitWarning(message, { type: 'RateThrottleWarning', code })
}
