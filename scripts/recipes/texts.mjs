// The recipes of docs/guides, and the route behind them that the proofs ask.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A recipe with its limit from the environment, so that one build can be asked for several. */
export function recipe(name) {
  const text = readFileSync(join('__test__/recipes', name), 'utf8')
  const open = text.replace(
    /limits: '100\/hour'(?=,| )/,
    'limits: String(LIMITS), ...JSON.parse(String(MORE))',
  )
  if (open === text) throw new Error(`${name} does not set limits: '100/hour'`)
  return `const { LIMITS, MORE } = process.env\n${open}`
}

/** A recipe as it is. */
export function plain(name) {
  return readFileSync(join('__test__/recipes', name), 'utf8')
}

const WAIT = `const pause = (url: string) =>
  new Promise((done) => setTimeout(done, Number(new URL(url, 'http://x').searchParams.get('wait'))))
let runs = 0
`

/** A route handler of the Fetch standard: counts, waits as it is told, and echoes what is posted. */
export const ROUTE = `${WAIT}
export async function GET({ request }: { request: Request }) {
  runs++
  await pause(request.url)
  return Response.json({ runs })
}

export async function POST({ request }: { request: Request }) {
  return Response.json(await request.json())
}
`

/** The same where handlers get the request itself. */
export const NEXT_ROUTE = ROUTE.replaceAll('{ request }: { request: Request }', 'request: Request')

/** The same for React Router. */
export const LOADER = ROUTE.replace('function GET', 'function loader').replace(
  'function POST',
  'function action',
)
