// Limits by cost for GraphQL Yoga. Run it in a checkout, or with the packages graphql, graphql-yoga and ratethrottle
// installed: node node_modules/ratethrottle/examples/graphql.mjs
//
// A client has 100 units a minute. It asks for long lists of which little is there, and gets back what they did not
// cost; then it asks for more than it has left.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSchema, createYoga } from 'graphql-yoga'
import { plugin } from 'ratethrottle/graphql'

const books = ['Emma', 'Persuasion', 'Sanditon'].map((title) => ({ title, pages: 300 }))
const schema = createSchema({
  typeDefs: `type Book { title: String, pages: Int } type Query { books(first: Int): [Book] }`,
  resolvers: { Query: { books: (_, { first = 3 }) => books.slice(0, first) } },
})
const limits = plugin({ limits: '100/minute', maxCost: 90, refund: 'actual' })
const yoga = createYoga({ schema, plugins: [limits], logging: false })
const server = createServer(yoga).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${server.address().port}/graphql`

async function ask(query) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  })
  const { data, errors } = await response.json()
  const { code, cost } = errors?.[0]?.extensions ?? {}
  console.log(
    `${query}: ${errors === undefined ? `${data.books.length} books` : `${code}, ${cost}`}`,
  )
}

// Charged 81, and 74 of them given back: three books are there.
await ask('{ books(first: 40) { title pages } }')
await ask('{ books(first: 40) { title pages } }')
await ask('{ books(first: 85) { title } }')
// Of the 100 units 18 are used.
await ask('{ books(first: 85) { title } }')
await ask('{ books(first: 500) { title } }')

server.closeAllConnections()
server.close()
await yoga.dispose()
