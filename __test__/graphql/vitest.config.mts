import { defineConfig, mergeConfig } from 'vitest/config'
import common from '../../vitest.config.mts'

const { RATETHROTTLE_GRAPHQL = 'graphql' } = process.env

/** For `npm run prove:graphql17`: tests get the copy of graphql that it has installed. */
export default mergeConfig(
  common,
  defineConfig({ resolve: { alias: [{ find: /^graphql$/, replacement: RATETHROTTLE_GRAPHQL }] } }),
)
