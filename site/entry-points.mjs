import { readFileSync } from 'node:fs'

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))

/** The published entry points, as package.json names them: `subpath` is what users import. */
export const entryPoints = Object.entries(read('../package.json').exports).flatMap(
  ([subpath, { types }]) => {
    if (types === undefined) return []
    const source = types.replace('./dist/', '../ts/').replace(/\.d\.ts$/, '.ts')
    const module = source.replace('../ts/', '').replace(/(\/index)?\.ts$/, '')
    return [{ subpath: `ratethrottle${subpath.slice(1)}`, module, source }]
  },
)
