// node missing.mjs SUBPATH NAME OPTIONS: what a function says whose subpath loads its peer when it is called.
const [, , subpath, name, options] = process.argv
const { [name]: make } = await import(subpath)
let said = 'nothing'
try {
  make(JSON.parse(options)).close?.()
} catch ({ code, message }) {
  said = { code, message }
}
console.log(JSON.stringify(said))
