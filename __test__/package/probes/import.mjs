// node import.mjs <specifier>: what `import` gives, whether `require` gives the very same, what that loads.
import { createRequire } from 'node:module'
import { sep } from 'node:path'

const [, , specifier] = process.argv
const require = createRequire(import.meta.url)
const imported = await import(specifier)
const loaded = Object.keys(require.cache).map((file) => file.split(`${sep}node_modules${sep}`)[1])
const required = require(specifier)
const names = Object.keys(imported).filter(
  (name) => name !== 'default' && name !== 'module.exports',
)
console.log(
  JSON.stringify({
    callable: typeof imported.default === 'function' && imported.default === required,
    names,
    loaded: [...new Set(loaded.map((file) => file.split(sep)[0]))],
    other: names.filter((name) => imported[name] !== required[name]),
  }),
)
