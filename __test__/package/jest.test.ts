import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, it } from 'vitest'
import { compile, NODENEXT } from './compile.ts'
import { folderOf, NODES, runIn } from './place.ts'
import { nameOf, SUBPATHS } from './subpaths.ts'

const CONFIG = JSON.stringify({ testEnvironment: 'node', transform: {}, watchman: false })
const JEST = ['node_modules/jest/bin/jest.js', '--ci', '--config', CONFIG, 'jest.test.cjs']

beforeAll(async () => {
  const subpaths = SUBPATHS.map(([subpath]) => subpath)
  const out = await compile('all', 'jest', 7, NODENEXT, subpaths)
  const programs = SUBPATHS.map(([subpath, { prints }]) => [
    join(out, `${nameOf(subpath)}.cjs`),
    prints,
  ])
  // Read by `probes/jest.test.cjs`.
  await writeFile(join(folderOf('all'), 'programs.json'), JSON.stringify(programs))
})

it.each(NODES)('on Node %i, every program runs in Jest, in its CommonJS mode', async (node) => {
  await runIn('all', node, ...JEST)
})
