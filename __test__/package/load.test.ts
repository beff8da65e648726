import { describe, expect, inject, it } from 'vitest'
import { NODES, runIn } from './place.ts'
import type { ProjectName } from './projects.ts'
import { MANIFEST, SUBPATHS, type Subpath, specifierOf } from './subpaths.ts'

/** What the probes print. */
interface Loaded {
  readonly callable: boolean
  readonly names: readonly string[]
  /** The packages whose files were loaded. */
  readonly loaded: readonly string[]
  /** Names that `import` and `require` give different things for. */
  readonly other?: readonly string[]
}

const FORMS = [
  ['require', 'require.cjs'],
  ['import', 'import.mjs'],
] as const

const UNSEEN = 'promised in subpaths.ts, and not there; for `export =` see ts/adapters/fastify.ts'
const FOREIGN =
  'only the subpath itself may be loaded: take types from a framework, by `import type`'

/**
 * The Nodes on which each subpath is loaded in a process of its own, so that nothing else is loaded there. Short:
 * the oldest alone. What loads what does not depend on the Node; on the newest one process loads them all.
 */
const ALONE = inject('full') ? NODES : NODES.slice(0, 1)

describe.each(ALONE)('on Node %i', (node) => {
  describe.each(FORMS)('%s', (_form, probe) => {
    const load = async (project: ProjectName, subpath: string): Promise<Loaded> => {
      const [loaded] = JSON.parse(await runIn(project, node, probe, specifierOf(subpath)))
      return loaded
    }

    it.each(SUBPATHS)('of %s gives the promised exports', async (subpath, promised) => {
      const { callable, names, loaded, other = [] } = await load('all', subpath)
      expect(names, UNSEEN).toEqual(expect.arrayContaining([...promised.names]))
      expect(callable).toBe(promised.callable ?? false)
      expect(other, 'one copy of the state, however it is loaded').toEqual([])
      if (!promised.loads) expect(loaded, FOREIGN).toEqual(['ratethrottle'])
    })

    it.each(SUBPATHS)(
      'of %s works without any framework, or says what to install',
      async (subpath, promised) => {
        const answer = await load('bare', subpath).catch((error: Error) => error)
        if (!(answer instanceof Error)) expect(answer.loaded, FOREIGN).toEqual(['ratethrottle'])
        else if (!tellsWhatToInstall(answer, promised)) expect.fail(`${FOREIGN}\n${answer.message}`)
      },
    )
  })
})

describe.each(NODES)('on Node %i', (node) => {
  it('import and require of all subpaths beside each other give the promised exports', async () => {
    const specifiers = SUBPATHS.map(([subpath]) => specifierOf(subpath))
    const all: Loaded[] = JSON.parse(await runIn('all', node, 'import.mjs', ...specifiers))
    expect(all).toHaveLength(SUBPATHS.length)
    for (const [index, [subpath, promised]] of SUBPATHS.entries()) {
      const { callable, names, other } = all[index] as Loaded
      expect(names, subpath).toEqual(expect.arrayContaining([...promised.names]))
      expect({ callable, other }, subpath).toEqual({
        callable: promised.callable ?? false,
        other: [],
      })
    }
  })

  it('import and require share the budget of one name', async () => {
    expect(await runIn('all', node, 'state.mjs')).toBe('true true false false\n')
  })
})

it('no framework is resolved where none is installed', async () => {
  const peers = Object.keys(MANIFEST.peerDependencies)
  const advice = 'a node_modules above the temporary folder has them: set TMPDIR to another'
  expect(await runIn('bare', NODES[0] ?? 0, 'absent.cjs', ...peers), advice).toBe('\n')
})

it('a YAML file is read where yaml is installed, and elsewhere the error says what to install', async () => {
  const [node = 0] = NODES
  const read = async (project: ProjectName) =>
    JSON.parse(await runIn(project, node, 'yaml.mjs')) as object
  expect(await read('all')).toMatchObject({ loaded: ['api'], status: 0 })
  const sentence =
    /^a YAML file must have the package yaml beside it: npm install yaml, or write the file as JSON$/m
  expect(await read('bare')).toEqual({
    loaded: { code: 'MISSING_YAML', message: expect.stringMatching(sentence) },
    status: expect.any(Number),
    said: expect.stringMatching(sentence),
  })
})

it.each([['ratethrottle/grpc', 'interceptor', { limits: '1/minute' }, '@grpc/grpc-js']])(
  '%s loads its peer when it is used, and says what to install: %s',
  async (subpath, name, options, peer) => {
    const [node = 0] = NODES
    const said = async (project: ProjectName) =>
      JSON.parse(await runIn(project, node, 'missing.mjs', subpath, name, JSON.stringify(options)))
    expect(await said('all')).toBe('nothing')
    expect(await said('bare')).toEqual({
      code: 'MISSING_PEER',
      message: `${subpath} needs the package ${peer}, which is not installed: npm install ${peer}`,
    })
  },
)

/** A subpath without a peer has nothing to ask for, and must not fail. */
function tellsWhatToInstall(error: Error, { peer }: Subpath): boolean {
  return peer !== undefined && new RegExp(`npm install.* ${peer}\\b`).test(error.message)
}
