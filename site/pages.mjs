// Copies the pages of docs/ to where VitePress finds Vue beside them. Run before each build.
//
// Pages link to files outside of docs/, such as ../../examples/fastify.ts: those are copied as well, and are at /files/
// on the site. Pages of Markdown among them are served as plain text, so that a browser shows them.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = join(root, 'site/pages')

rmSync(pages, { recursive: true, force: true })
cpSync(join(root, 'docs'), pages, { recursive: true })
copyOut('CHANGELOG.md')
for (const name of readdirSync(pages, { recursive: true })) {
  if (!name.endsWith('.md')) continue
  const file = join(pages, name)
  const text = readFileSync(file, 'utf8')
  const rewritten = text.replaceAll(
    /\]\((\.{0,2}[\w./-]+)(#[^)\s]*)?\)/g,
    (_, target, anchor = '') => {
      const path = posix.join('docs', posix.dirname(name), target)
      if (!path.startsWith('docs/')) return `](${copyOut(path)})`
      return `](${target.replace(/README\.md$/, 'index.md')}${anchor})`
    },
  )
  writeFileSync(file, rewritten)
}

/** Copies a file of the repository into the site, and returns its address there. */
function copyOut(path) {
  const address = `/files/${path.endsWith('.md') ? `${path}.txt` : path}`
  const to = join(pages, 'public', address)
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(join(root, path), to)
  return address
}
