// node absent.cjs <package>...: those of them that can be found from here.
const found = process.argv.slice(2).filter((name) => {
  try {
    return require.resolve(name)
  } catch {
    return false
  }
})
console.log(found.join(' '))
