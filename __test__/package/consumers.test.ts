import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { compile, NODENEXT } from './compile.ts'
import { NODES, runIn } from './place.ts'
import type { ProjectName } from './projects.ts'
import { nameOf, SUBPATHS } from './subpaths.ts'

type Programs = typeof SUBPATHS

const EXPRESS = SUBPATHS.filter(([subpath]) => subpath === './express')
const ALL: readonly (readonly [ProjectName, Programs])[] = [
  ['all', SUBPATHS],
  ['express4', EXPRESS],
  ['express5', EXPRESS],
]
const USERS = ALL.filter(([, programs]) => programs.length > 0)
/** Both forms of a program: whatever compiles must run, so that the types are true. */
const FORMS = ['cjs', 'mjs']
/** Short: the oldest Node runs both. The newest runs one here, and the other in Jest: see jest.test.ts. */
const formsOn = (node: number): readonly string[] =>
  inject('full') || node === NODES[0] ? FORMS : ['mjs']

describe.each(USERS)('in project %s', (project, programs) => {
  let out: string

  beforeAll(async () => {
    const subpaths = programs.map(([subpath]) => subpath)
    out = await compile(project, 'consumers', 7, NODENEXT, subpaths)
  })

  describe.each(NODES)('on Node %i', (node) => {
    describe.each(formsOn(node))('as .%s', (form) => {
      it.each(programs)('a program that uses %s runs', async (subpath, { prints }) => {
        const program = join(out, `${nameOf(subpath)}.${form}`)
        expect(await runIn(project, node, program)).toBe(`${prints}\n`)
      })
    })
  })
})
