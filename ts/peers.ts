import { withCode } from './validate.ts'

/**
 * Loads an optional peer: a package that the user installs, and that only one subpath needs.
 *
 * @param name the package, as npm knows it
 * @param asker who needs it, such as `ratethrottle/grpc`
 * @param load `() => require('the name')`, written out: bundlers follow only what they can read
 * @throws Error with code MISSING_PEER if the package is not installed. What an installed package throws while it is
 * loaded, also for want of a package of its own, is thrown as it is: to install the peer again would not help
 */
export function requirePeer<Peer>(name: string, asker: string, load: () => unknown): Peer {
  try {
    return load() as Peer
  } catch (error) {
    if (!isMissing(error, name)) throw error
    const message = `${asker} needs the package ${name}, which is not installed: npm install ${name}`
    throw withCode(new Error(message, { cause: error }), 'MISSING_PEER')
  }
}

const NOT_FOUND: readonly unknown[] = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND']

/** Whether it is this package that was not found. The text that names it is the same in Node, Bun, Deno and Jest. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || !NOT_FOUND.includes(error.code)) {
    return false
  }
  const [line = ''] = error.message.split('\n', 1)
  return ["'", '"'].some((quote) => line.includes(`${quote}${name}${quote}`))
}
