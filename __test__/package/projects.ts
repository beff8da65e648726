/** The projects that the tarball is installed into, and what is in them besides. */
export const PROJECTS = {
  /** A user with no framework at all. */
  bare: [],
  /** Every peer, Jest, and the TypeScript that many still use. */
  all: [
    'fastify@5',
    'express@5',
    '@types/express@5',
    'hono@4',
    'ioredis@6',
    'yaml@2',
    '@types/node@20',
    'typescript@5',
    'jest@30',
  ],
  express4: ['express@4', '@types/express@4', '@types/node@20'],
  express5: ['express@5', '@types/express@5', '@types/node@20'],
} as const satisfies Record<string, readonly string[]>

export type ProjectName = keyof typeof PROJECTS
