/** The top of the site's start page. What follows it is docs/README.md. */
export function startPage(firstPage) {
  return {
    layout: 'home',
    hero: {
      name: 'ratethrottle',
      text: 'Exact rate limiting for Node.js',
      tagline: 'A Rust core, with plugins for Fastify, Express, Hono and node:http',
      actions: [
        { theme: 'brand', text: 'Get started', link: firstPage },
        { theme: 'alt', text: 'Options', link: '/reference/options' },
        { theme: 'alt', text: 'Errors', link: '/reference/errors' },
      ],
    },
    features: [
      {
        title: 'Exact',
        details:
          'No limit admits more than its bound, across threads, the processes of a host, and hosts.',
      },
      {
        title: 'Cheap',
        details:
          'About 50 ns a call for a hot key. Memory is fixed by configuration and does not grow under a flood.',
      },
      {
        title: 'Honest',
        details:
          'Correct rate-limit headers, and a Retry-After that is enough when a client obeys it.',
      },
      {
        title: 'Safe by default',
        details: 'Forged X-Forwarded-For is ignored. A wrong option stops the start and is named.',
      },
    ],
  }
}
