import binding, { type OpenOptions, type VariableOptions } from '#binding'

/** The bare functions of one limiter, and the numbers that the last of them left behind. */
export type Native = ReturnType<typeof binding.open>

/** The bare functions of a limiter whose limits are told to it before each call. */
export type NativeVariable = ReturnType<typeof binding.openVariable>

/** Something that lies where shared tables live. */
export type SharedEntry = ReturnType<typeof binding.sharedList>[number]

export type { OpenOptions, VariableOptions }

/** Whatever lies where this user's shared tables live. Changes nothing. */
export const sharedList: () => SharedEntry[] = binding.sharedList
/** Removes a file from there, unless processes are attached to it. */
export const sharedRemove: (file: string) => void = binding.sharedRemove

/**
 * Makes a native limiter, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the limits can't be counted exactly or the options clash
 */
export function open(options: OpenOptions): Native {
  try {
    // No prototype: the border would take from a polluted one what is left out here.
    return binding.open(Object.assign(Object.create(null) as OpenOptions, options))
  } catch (error) {
    throw asItIsKnown(error)
  }
}

/**
 * Makes a native limiter whose limits come with each call, or joins the one of the same name.
 *
 * @throws RangeError with the core's code if the options clash
 */
export function openVariable(options: VariableOptions): NativeVariable {
  try {
    return binding.openVariable(Object.assign(Object.create(null) as VariableOptions, options))
  } catch (error) {
    throw asItIsKnown(error)
  }
}

/**
 * What is wrong with an argument is a RangeError; what is wrong with the system is not. Told apart by code: in
 * Jest the addon throws errors of another realm, which are instances of none of the classes here.
 */
function asItIsKnown(error: unknown): unknown {
  if (!hasCode(error)) return error
  const { code, message } = error
  const isOfSystem = code.startsWith('SHARED_') || code === 'NOT_AVAILABLE'
  return Object.assign(isOfSystem ? new Error(message) : new RangeError(message), { code })
}

function hasCode(error: unknown): error is { readonly code: string; readonly message: string } {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error
}
