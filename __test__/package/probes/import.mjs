// node import.mjs <specifier ...>: for each what `import` gives, whether `require` gives the very same, what that loads.
import { createRequire } from 'node:module'
import { sep } from 'node:path'

const require = createRequire(import.meta.url)

async function load(specifier) {
  const imported = await import(specifier)
  const loaded = Object.keys(require.cache).map((file) => file.split(`${sep}node_modules${sep}`)[1])
  const required = require(specifier)
  const names = Object.keys(imported).filter(
    (name) => name !== 'default' && name !== 'module.exports',
  )
  return {
    callable: typeof imported.default === 'function' && imported.default === required,
    names,
    loaded: [...new Set(loaded.map((file) => file.split(sep)[0]))],
    other: names.filter((name) => imported[name] !== required[name]),
  }
}

const all = []
for (const specifier of process.argv.slice(2)) all.push(await load(specifier))
console.log(JSON.stringify(all))
