/** The top of the site's start page. What follows it is docs/README.md. */
export const hero = {
  layout: 'home',
  hero: {
    name: 'ratethrottle',
    text: 'Exact rate limiting for Node.js',
    tagline: 'A Rust core, and plugins for Fastify, Express, Hono and node:http',
    actions: [],
  },
}
