// Lines of the TypeScript layer that are broken on purpose: what is broken, where, how, and which test files
// are asked. The first `from` in `file` is replaced.

export const MUTANTS = [
  {
    name: 'of stacked limiters only the last gives back',
    file: 'ts/adapters/http/passage.ts',
    from: 'return then(unwind(passage), () => giveBack(passage.before))',
    to: 'return unwind(passage)',
    tests: ['__test__/http/stacked.test.ts'],
  },
  {
    name: 'each of several processes is silent about counting for itself',
    file: 'ts/adapters/http/per-process.ts',
    from: 'if (!isMemory || !isOneOfSeveral || isTold) return',
    to: 'if (isMemory || !isOneOfSeveral || isTold) return',
    tests: ['__test__/http/per-process.test.ts'],
  },
]
