import { buildSchema, execute, parse } from 'graphql'
import { costOf, type GraphQLPlugin, type OperationCost, plugin } from 'ratethrottle/graphql'

const schema = buildSchema(
  'type Query { users(first: Int): [User] } type User { id: ID name: String }',
)
const query = '{ users(first: 10) { id name } }'
const limits: GraphQLPlugin = plugin({ limits: '30/minute', key: () => 'ada' })

/** What Envelop does with the plugin's hook. */
async function run(): Promise<unknown> {
  const args = { schema, document: parse(query), contextValue: {} }
  let result: unknown
  await limits.onExecute({
    args,
    executeFn: execute as never,
    setExecuteFn: () => {},
    setResultAndStopExecution: (refused) => {
      result = refused
    },
  })
  return result
}

async function main(): Promise<void> {
  const { cost, depth }: OperationCost = costOf(schema, query)
  await run()
  const { errors } = (await run()) as { errors: { extensions: { code: string } }[] }
  console.log(`${cost} ${depth} ${errors[0]?.extensions.code}`)
  limits.close()
}

void main()
