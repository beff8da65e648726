import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { anchorOf } from '../anchors.mjs'
import { sidebarOf } from '../navigation.mjs'
import { shelves } from '../shelves.mjs'
import { startPage } from '../start-page.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version, description } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
const sidebar = sidebarOf(`${root}site/pages`)

/** The first page of each shelf but the last one. */
const nav = shelves.slice(0, -1).flatMap(({ folder, title }) => {
  const link = sidebar.find(({ text }) => text === title)?.items[0]?.link
  return link === undefined ? [] : [{ text: title, link, activeMatch: `^/${folder}/` }]
})

// A dead link between pages fails the build: that is VitePress' default.
export default defineConfig({
  srcDir: 'pages',
  title: 'ratethrottle',
  description,
  rewrites: { 'README.md': 'index.md' },
  markdown: { anchor: { slugify: anchorOf } },
  transformPageData(page) {
    if (page.relativePath !== 'index.md') return
    Object.assign(page.frontmatter, startPage(sidebar[0].items[0].link))
  },
  themeConfig: {
    nav: [...nav, { text: `v${version}`, link: '/files/CHANGELOG.md.txt', target: '_blank' }],
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
