/** The shelves of docs/, in the order of the sidebar. `first` names pages in their order; the others follow by name. */
export const shelves = [
  {
    folder: 'getting-started',
    title: 'Getting started',
    first: ['quickstart', 'which-algorithm', 'which-storage', 'behind-a-proxy'],
  },
  {
    folder: 'guides',
    title: 'Guides',
    first: [
      'fastify',
      'express',
      'hono',
      'node-http',
      'nest',
      'koa',
      'next',
      'bundlers',
      'proxies',
    ],
  },
  {
    folder: 'migrate',
    title: 'Migrate',
    first: [
      'express-rate-limit',
      'fastify-rate-limit',
      'rate-limiter-flexible',
      'ratethrottle-python',
    ],
  },
  { folder: 'concepts', title: 'Concepts', first: ['algorithms', 'all-or-nothing', 'guarantees'] },
  {
    folder: 'reference',
    title: 'Reference',
    first: ['options', 'limit-strings', 'decision', 'headers', 'errors', 'warnings', 'events'],
  },
  { folder: 'internals', title: 'Internals', first: ['table', 'shared-file', 'proof', 'hazards'] },
]
