import binding, { type OpenOptions } from '#binding'

/** The bare functions of one limiter, and the numbers that the last of them left behind. */
export type Native = ReturnType<typeof binding.open>

export type { OpenOptions }

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
    throw toRangeError(error)
  }
}

function toRangeError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  return Object.assign(new RangeError(error.message), { code: error.code })
}
