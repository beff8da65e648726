import { inject, it } from 'vitest'
import { type Compiler, compile, type Mode, NODENEXT } from './compile.ts'
import { SUBPATHS } from './subpaths.ts'

const NODE16: Mode = { ...NODENEXT, options: { module: 'node16' } }
const BUNDLER: Mode = {
  options: { module: 'esnext', moduleResolution: 'bundler', noEmit: true },
  extensions: ['ts'],
}
const COMMONJS: Mode = {
  options: { module: 'commonjs', esModuleInterop: true },
  extensions: ['ts'],
}
/** What `module: commonjs` meant up to TypeScript 5, and `exports` mean nothing to it. */
const NODE10: Mode = { ...COMMONJS, options: { ...COMMONJS.options, moduleResolution: 'node10' } }
/** How Nest sets its projects up: the decorators from before the standard. */
const NEST: Mode = {
  ...COMMONJS,
  options: { ...COMMONJS.options, experimentalDecorators: true, emitDecoratorMetadata: true },
}

type Case = readonly [Compiler, string, Mode]

const CASES: readonly Case[] = [
  [5, 'commonjs', NODE10],
  [7, 'commonjs', COMMONJS],
  [7, "nest's commonjs", NEST],
  [7, 'node16', NODE16],
  [7, 'nodenext', NODENEXT],
  [7, 'bundler', BUNDLER],
]
/** TypeScript 5 takes four times as long, and finds nothing here that 7 does not. */
const MORE: readonly Case[] = [
  [5, 'node16', NODE16],
  [5, 'nodenext', NODENEXT],
  [5, 'bundler', BUNDLER],
]
const cases = inject('full') ? [...CASES, ...MORE] : CASES

it.each(cases)('TypeScript %i compiles every subpath as %s', async (compiler, name, mode) => {
  const subpaths = SUBPATHS.map(([subpath]) => subpath)
  await compile('all', `typescript${compiler}-${name}`, compiler, mode, subpaths)
})
