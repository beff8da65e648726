import { entryPoints } from './entry-points.mjs'

export default {
  // The sources of the published entry points: they have the doc comments.
  entryPoints: entryPoints.map(({ source }) => source),
  tsconfig: 'tsconfig.json',
  // The project's own compiler checks them.
  skipErrorChecking: true,
  out: 'pages/reference/api',
  plugin: ['typedoc-plugin-markdown', './typedoc-names.mjs'],
  name: 'API',
  readme: 'none',
  router: 'module',
  entryFileName: 'index',
  excludeReferences: true,
  excludeExternals: true,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  hidePageHeader: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  // Types that an exported one mentions and no entry point exports have no page of their own.
  validation: { notExported: false, invalidLink: false },
  logLevel: 'Warn',
}
