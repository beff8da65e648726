import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * The page's own code. It is compiled for browsers, as modules beside this one, and sent as one script: the page
 * is a single answer. Each module stands after those that it imports.
 */

const MODULES = [
  'format',
  'element',
  'series',
  'table',
  'chart',
  'limits',
  'shields',
  'live',
  'main',
]

let joined: string | undefined

/** The script of the page. */
export function clientCode(): string {
  joined ??= `(() => {\n'use strict'\n${MODULES.map(read).join('')}})()\n`
  return joined
}

/** One module without its imports and exports: in one function all names are known. */
function read(name: string): string {
  const text = readFileSync(join(__dirname, 'client', `${name}.js`), 'utf8')
  return text
    .replace(/^import .*\n/gm, '')
    .replace(/^export (?=(?:async )?function|const|class|let)/gm, '')
}
