import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../fixtures/child.ts'

/** A fenced code block of a page. */
export interface Block {
  /** Such as `ts`. Empty where none is given. */
  readonly language: string
  /** What stands after the language, such as `run`. */
  readonly mark: string
  /** The line of the opening fence, counted from 1. */
  readonly line: number
  readonly code: string
}

/** A page of the documentation. */
export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly lines: readonly string[]
  readonly blocks: readonly Block[]
  /** The page without its code blocks and comments. */
  readonly prose: string
}

/** README, the other pages at the root, and everything in docs/. */
export const PAGES: readonly Page[] = [
  ...markdownIn('.').filter((path) => path !== 'CHANGELOG.md'),
  ...markdownIn('docs', true).filter((path) => !path.startsWith('docs/reference/api/')),
].map(readPage)

export function pageAt(path: string): Page {
  const page = PAGES.find((candidate) => candidate.path === path)
  if (page === undefined) throw new Error(`there is no page ${path}`)
  return page
}

/** The anchors that GitHub and the site give to a page's headings. */
export function anchorsOf(page: Page): readonly string[] {
  const seen = new Map<string, number>()
  return [...page.prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
    const anchor = anchorOf(heading)
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

/** The targets of all links and images. */
export function linksOf(page: Page): readonly string[] {
  const text = page.prose.replaceAll(/`[^`\n]*`/g, '')
  const found = text.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)|(?:src|href)="([^"]+)"/g)
  return [...found].map(([, link, source]) => link ?? source ?? '')
}

function anchorOf(heading: string): string {
  const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '')
  const kept = text
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
  return kept.replaceAll(' ', '-')
}

function markdownIn(folder: string, recursive = false): readonly string[] {
  const names = readdirSync(join(ROOT, folder), { recursive }) as string[]
  const pages = names.filter((name) => name.endsWith('.md')).sort()
  return pages.map((name) => join(folder, name).replaceAll('\\', '/'))
}

function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const lines = text.split('\n')
  const blocks = blocksOf(path, lines)
  const prose = text.replaceAll(/^( *)(`{3,}).*\n[\s\S]*?^\1\2 *$/gm, '')
  return { path, lines, blocks, prose: prose.replaceAll(/<!--[\s\S]*?-->/g, '') }
}

function blocksOf(path: string, lines: readonly string[]): readonly Block[] {
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    const [, indent = '', fence, info = ''] = /^( *)(`{3,})(.*)$/.exec(lines[i] ?? '') ?? []
    if (fence === undefined) continue
    const end = lines.indexOf(indent + fence, i + 1)
    if (end < 0) throw new Error(`${path}:${i + 1}: the code block does not end`)
    const [, language = '', mark = ''] = /^(\S*) *(.*)$/.exec(info.trim()) ?? []
    const code = lines.slice(i + 1, end).map((line) => line.slice(indent.length))
    blocks.push({ language, mark, line: i + 1, code: code.join('\n') })
    i = end
  }
  return blocks
}
