import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { shelves } from './shelves.mjs'

/** The sidebar: each shelf with its pages, under their headings. */
export function sidebarOf(docs) {
  const groups = shelves.map(({ folder, title, first }) => ({
    text: title,
    collapsed: folder === 'internals',
    items: pagesIn(join(docs, folder), first).map((name) => ({
      text: headingOf(join(docs, folder, `${name}.md`)),
      link: `/${folder}/${name}`,
    })),
  }))
  return [...groups.filter(({ items }) => items.length > 0), ...generated(docs)]
}

/** The pages that TypeDoc makes, where it has run. */
function generated(docs) {
  const folder = join(docs, 'reference/api')
  if (!existsSync(folder)) return []
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.md'))
  const pages = files.filter((file) => !/^index|namespaces/.test(file)).sort()
  const items = pages.map((file) => ({
    text: headingOf(join(folder, file)),
    link: `/reference/api/${file.replace(/(index)?\.md$/, '')}`,
  }))
  return [{ text: 'API', collapsed: true, items }]
}

function pagesIn(folder, first) {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .map((file) => basename(file, '.md'))
    .sort()
  const rank = (name) => (first.includes(name) ? first.indexOf(name) : first.length)
  return names.sort((a, b) => rank(a) - rank(b))
}

function headingOf(file) {
  const [, heading] = /^# (.+)$/m.exec(readFileSync(file, 'utf8')) ?? []
  if (heading === undefined) throw new Error(`${file} must begin with a heading`)
  return heading.replaceAll(/[`*]/g, '')
}
