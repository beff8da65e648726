import { Converter } from 'typedoc'
import { entryPoints } from './entry-points.mjs'

/** Calls each module what users import, such as `ratethrottle/fastify`, in place of its file. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      const entry = entryPoints.find(({ module: name }) => name === module.name)
      if (entry !== undefined) module.name = entry.subpath
    }
  })
}
