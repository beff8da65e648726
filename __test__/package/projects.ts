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
    // The line before the one that the other tests run with.
    ...['@nestjs/common@11', '@nestjs/core@11', '@nestjs/platform-express@11'],
    ...['reflect-metadata@0.2', 'rxjs@7'],
    '@grpc/grpc-js@1',
    ...['ws@8', '@types/ws@8'],
    'graphql@16',
    ...['koa@3', '@types/koa@3', 'ws@8', '@types/ws@8'],
    'ioredis@6',
    'yaml@2',
    // The one that @types/koa is written for: later ones have types of their own.
    'content-disposition@0.5',
    '@types/node@20',
    'typescript@5',
    'jest@30',
  ],
  express4: ['express@4', '@types/express@4', '@types/node@20'],
  express5: ['express@5', '@types/express@5', '@types/node@20'],
} as const satisfies Record<string, readonly string[]>

export type ProjectName = keyof typeof PROJECTS

const IS_MAC = process.platform === 'darwin'
const IS_ARM = process.arch === 'arm64'

/** Runtimes that are not Node: of each the package of this platform, and the program in it. */
export const RUNTIMES = {
  bun: {
    folder: 'bun',
    version: `npm:@oven/bun-${process.platform}-${IS_ARM ? 'aarch64' : 'x64'}@1.4.5`,
    program: 'bin/bun',
  },
  deno: {
    folder: 'deno',
    version: `npm:@deno/${process.platform}-${process.arch}${IS_MAC ? '' : '-glibc'}@2.9.6`,
    program: 'deno',
  },
} as const

export type Runtime = keyof typeof RUNTIMES
