import { createRequire } from 'node:module'

/**
 * From now on counts who asks JavaScript's clocks; the addon, if it is the test build, counts its own.
 * Answers a function that tells the counts so far. Node's own readings are not among them.
 */
export function countReadings() {
  let js = 0
  const counted = (read) =>
    function (...args) {
      js++
      return Reflect.apply(read, this, args)
    }
  const NativeDate = Date
  globalThis.Date = class extends NativeDate {
    constructor(...args) {
      if (args.length === 0) js++
      super(...args)
    }
  }
  Date.now = counted(NativeDate.now)
  performance.now = counted(performance.now.bind(performance))
  const { bigint } = process.hrtime
  process.hrtime = counted(process.hrtime)
  process.hrtime.bigint = counted(bigint)
  const addon = process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  const probe = addon === undefined ? {} : createRequire(import.meta.url)(addon)
  return () => {
    const [exact, rough] = probe.clockReads?.() ?? [0, 0]
    return { js, exact, rough }
  }
}
