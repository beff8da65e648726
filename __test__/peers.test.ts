import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { requirePeer } from '../ts/peers.ts'

const PEER = '@scope/peer'

/** A project that has installed these packages, each with the text of its only file. */
function projectWith(packages: Readonly<Record<string, string>>): NodeJS.Require {
  const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-peers-'))
  for (const [name, text] of Object.entries(packages)) {
    const at = join(folder, 'node_modules', name)
    mkdirSync(at, { recursive: true })
    writeFileSync(join(at, 'index.js'), text)
  }
  return createRequire(join(folder, 'index.js'))
}

function codeOf(load: () => unknown, name = PEER): unknown {
  try {
    return requirePeer(name, 'ratethrottle/x', load)
  } catch (error) {
    return (error as { code?: unknown }).code ?? (error as Error).message
  }
}

it('a peer that is installed is what its file exports', () => {
  const require = projectWith({ '@scope/peer': 'module.exports = 7' })
  expect(codeOf(() => require(PEER))).toBe(7)
})

it('a missing peer has one error, which says who needs it, what to install, and what was found', () => {
  const require = projectWith({})
  const load = () => requirePeer(PEER, 'ratethrottle/x', () => require(PEER))
  expect(load).toThrow(
    expect.objectContaining({
      name: 'Error',
      code: 'MISSING_PEER',
      message:
        'ratethrottle/x needs the package @scope/peer, which is not installed: npm install @scope/peer',
      cause: expect.objectContaining({ code: 'MODULE_NOT_FOUND' }),
    }),
  )
})

it.each([
  ['it throws', "throw new Error('broken')", 'broken'],
  ['it lacks a package of its own', "require('peers-own')", 'MODULE_NOT_FOUND'],
  ['it lacks a file of its own', "require('./lib/@scope/peer')", 'MODULE_NOT_FOUND'],
  ['it throws what is no error', "throw 'text'", undefined],
])('a peer that is installed and fails throws its own error: %s', (_why, text, code) => {
  const require = projectWith({ '@scope/peer': text })
  expect(codeOf(() => require(PEER))).toBe(code)
})

it.each([
  "Cannot find package '@scope/peer' imported from /app/index.js",
  "Cannot find module '@scope/peer' from 'app/index.js'",
  'Cannot find package "@scope/peer" from "/app/index.js"',
])('is told apart where another loader speaks: %s', (message) => {
  const load = () => {
    throw Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' })
  }
  expect(codeOf(load)).toBe('MISSING_PEER')
  expect(codeOf(load, '@scope/peer-2')).toBe('ERR_MODULE_NOT_FOUND')
  expect(codeOf(load, 'peer')).toBe('ERR_MODULE_NOT_FOUND')
})
