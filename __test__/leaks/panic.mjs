// With the test build of the addon: a panic inside each native function becomes an error, and the next call
// works. The functions are those that the addon has, so a new one is tested without being named here.
import binding from '#binding'

const options = { algorithm: 'token-bucket', blockForMs: 0, capacity: 100 }
const native = binding.open({ ...options, counts: [100], windowsMs: [60_000] })
const ARGUMENTS = { block: ['other', 1], standing: ['key', 0], stats: [], renew: [], close: [] }
const isFunction = (name) => typeof native[name] === 'function'
const names = Object.keys(native).filter(isFunction)
// After close every other function refuses.
const inOrder = [...names.filter((name) => name !== 'close'), 'close']

for (const name of inOrder) {
  provoke(name, () => native[name](...(ARGUMENTS[name] ?? ['key'])))
}

const stored = binding.openStored({ ...options, counts: [100], windowsMs: [60_000] })
for (const name of Object.keys(stored).filter((one) => typeof stored[one] === 'function')) {
  provoke(`stored ${name}`, () => stored[name](undefined, 1, 1))
}

function provoke(name, use) {
  use()
  binding.panicNext()
  try {
    use()
    console.log(`${name}: no error`)
  } catch (error) {
    use()
    console.log(`${name}: ${error.code}`)
  }
}
