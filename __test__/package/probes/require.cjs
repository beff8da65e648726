// node require.cjs <specifier>: what `require` gives, and which packages that loads.
const { basename, sep } = require('node:path')

/** The package that a loaded file belongs to. */
function packageOf(file) {
  const [, rest = basename(file)] = file.split(`${sep}node_modules${sep}`)
  return rest.split(sep)[0]
}

const module_ = require(process.argv[2])
const loaded = new Set(Object.keys(require.cache).map(packageOf))
loaded.delete(basename(__filename))
console.log(
  JSON.stringify([
    {
      callable: typeof module_ === 'function' && module_.default === module_,
      names: Object.keys(module_),
      loaded: [...loaded],
    },
  ]),
)
