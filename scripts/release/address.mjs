// Where the project lives, for package.json: it has no fixed address yet, so the release takes it from the
// repository that it runs in. node scripts/release/address.mjs writes it.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const NAME = /^[\w.-]+\/[\w.-]+$/

/** `https://host/owner/name`, from what GitHub's runner says or else from git's remote `origin`. */
export function addressOf(env, remote) {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = env
  if (server && name) {
    if (!NAME.test(name) || new URL(server).protocol !== 'https:') {
      throw new Error(`GITHUB_REPOSITORY must be owner/name on an https server, got ${name}`)
    }
    return `${new URL(server).origin}/${name}`
  }
  return fromRemote(remote)
}

/** git@host:owner/name.git, ssh://git@host/owner/name or https://user@host/owner/name.git. */
function fromRemote(remote = '') {
  const match =
    /^(?:https:\/\/|ssh:\/\/)?(?:[^@/]*@)?([\w.-]+)[:/]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(
      remote.trim(),
    )
  if (match === null || remote.startsWith('/') || remote.startsWith('.')) {
    throw new Error('the address must be known: set GITHUB_SERVER_URL and GITHUB_REPOSITORY')
  }
  return `https://${match[1]}/${match[2]}`
}

/** The same manifest with `repository`, `homepage` and `bugs`, before its first long part. */
export function withAddress(manifest, address) {
  const { name, version, description, ...rest } = manifest
  return {
    name,
    version,
    description,
    repository: { type: 'git', url: `git+${address}.git` },
    homepage: `${address}#readme`,
    bugs: { url: `${address}/issues` },
    ...rest,
  }
}

export function writeAddress(folder, address) {
  const path = join(folder, 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, `${JSON.stringify(withAddress(manifest, address), null, 2)}\n`)
}

export function originOf(folder) {
  try {
    return execFileSync('git', ['remote', 'get-url', 'origin'], { cwd: folder, encoding: 'utf8' })
  } catch {
    return ''
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = process.cwd()
  writeAddress(folder, addressOf(process.env, originOf(folder)))
}
