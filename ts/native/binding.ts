import binding, { type OpenOptions, type VariableOptions } from '#binding'
import { withCode } from '../validate.ts'

/** The functions of one limiter, and the buffers that hold the numbers of the last call. */
export type Native = ReturnType<typeof binding.open>

/** The functions of a limiter whose limits are written to `limits` before each call. */
export type NativeVariable = ReturnType<typeof binding.openVariable>

/** The functions that step from one record of a policy to the next, and the buffers for their numbers. */
export type NativeStored = ReturnType<typeof binding.openStored>

/** A file in the directory of shared tables. */
export type SharedEntry = ReturnType<typeof binding.sharedList>[number]

export type { OpenOptions, VariableOptions }

/** The files in the directory of this user's shared tables. Changes nothing. */
export const sharedList: () => SharedEntry[] = binding.sharedList
/** Removes a file from there, unless processes are attached to it. */
export const sharedRemove: (file: string) => void = binding.sharedRemove

/**
 * Makes a native limiter, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the limits can't be counted exactly or the options clash
 */
export const open: (options: OpenOptions) => Native = withPublicErrors(binding.open)

/**
 * Makes a native limiter whose limits come with each call, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the options clash
 */
export const openVariable: (options: VariableOptions) => NativeVariable = withPublicErrors(
  binding.openVariable,
)

/** The numbers with which the core counts limits, for scripts that count the same way in a store. */
export const policyArgs: typeof binding.policyArgs = binding.policyArgs

/**
 * Makes the functions that decide about records of bytes, for limits in a store.
 *
 * @throws RangeError with the core's code if the limits can't be counted exactly
 */
export const openStored: (options: OpenOptions) => NativeStored = withPublicErrors(
  binding.openStored,
)

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
  const isOfSystem = code.startsWith('SHARED_') || code === 'NOT_AVAILABLE'
  return withCode(isOfSystem ? new Error(message) : new RangeError(message), code)
}

function hasCode(error: unknown): error is { readonly code: string; readonly message: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error
}
