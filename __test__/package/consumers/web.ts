import { rateThrottle } from 'ratethrottle/web'

interface Info {
  readonly remoteAddress: string
}

const limiter = rateThrottle({
  limits: '2/minute',
  address: (_request, info: Info) => info.remoteAddress,
})
const handler = limiter.wrap((request) => new Response(request.method))
const single = rateThrottle({ limits: '1/minute', key: () => 'ada' })

async function main(): Promise<void> {
  const ask = () => new Request('http://127.0.0.1/')
  const get = async (): Promise<number> =>
    (await handler(ask(), { remoteAddress: '192.0.2.1' })).status
  const wrapped = [await get(), await get(), await get()]
  const checked: number[] = []
  for (let i = 0; i < 2; i++) {
    const { response, headers } = await single.check(ask())
    checked.push((response ?? new Response('served', { headers })).status)
  }
  console.log(`${wrapped.join(' ')} / ${checked.join(' ')}`)
}

void main()
