import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'

// Pages in docs/ link to files outside of it, such as ../../examples/fastify.ts. On the site these are in /files/.
// A page of Markdown is served as plain text there, so that a browser shows it.

const linked = new Set(['CHANGELOG.md'])

/** The anchor of a heading, as GitHub makes it: the same links work there and here. */
export function anchorOf(heading) {
  const text = heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
  return text.replaceAll(' ', '-')
}

/** A plugin for markdown-it: gives links the addresses that they have on the site. */
export function siteLinks(markdown) {
  markdown.core.ruler.push('site-links', ({ tokens, env }) => {
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        if (token.type === 'link_open') rewrite(token, 'href', env.relativePath)
        if (token.type === 'image') rewrite(token, 'src', env.relativePath)
      }
    }
  })
}

/** Copies what pages link to, from the repository into the built site. */
export function copyLinked(root, site) {
  for (const path of linked) {
    const from = join(root, path)
    if (!existsSync(from)) throw new Error(`a page links to ${path}, which does not exist`)
    const to = join(site, addressOf(path))
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(from, to)
  }
}

function rewrite(token, attribute, page) {
  const target = token.attrGet(attribute) ?? ''
  if (/^([a-z][a-z+.-]*:|#|\/)/i.test(target)) return
  const path = posix.join('docs', posix.dirname(page), target)
  if (path.startsWith('docs/')) {
    token.attrSet(attribute, target.replace(/(^|\/)README\.md/, '$1index.md'))
    return
  }
  const [file] = path.split('#')
  linked.add(file)
  token.attrSet(attribute, addressOf(file))
  token.attrSet('target', '_blank')
}

function addressOf(path) {
  return `/files/${path.endsWith('.md') ? `${path}.txt` : path}`
}
