// Where Postgres keeps its server programs: Debian, Fedora and Homebrew keep them out of PATH.
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Folders with a version in their name, newest first. */
function versions(folder, bin) {
  if (!existsSync(folder)) return []
  const found = readdirSync(folder).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  return found.map((version) => join(folder, version, bin))
}

/** @returns the folder with `initdb` and `postgres`, or undefined */
export function postgresFolder({ PATH = '' } = process.env) {
  const folders = [
    ...PATH.split(delimiter),
    ...versions('/usr/lib/postgresql', 'bin'),
    ...versions('/opt/homebrew/opt', 'bin').filter((folder) => folder.includes('postgresql')),
    ...versions('/usr/local/opt', 'bin').filter((folder) => folder.includes('postgresql')),
    '/usr/libexec/postgresql',
  ]
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  )
}
