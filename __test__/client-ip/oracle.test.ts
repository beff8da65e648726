import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { expect, it } from 'vitest'
import { hopAddress } from '../../ts/client-ip/forwarded.ts'
import { addressKey, canonical, socketAddress } from '../../ts/client-ip/ip.ts'
import { byLength } from '../fixtures/long.ts'
import { randomFor } from '../fixtures/random.ts'
import { addressLike, family, ipv6, mutated, oracle } from './generate.ts'

const ROUNDS = byLength(200_000, 1_000_000)

/** Without `expect` in the loop: it costs more than what is tested. */
function same(text: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) expect(actual, JSON.stringify(text)).toBe(expected)
}

it('the address parser agrees with net.isIP, URL and ipaddr.js (H6, H7)', () => {
  const random = randomFor('addresses against the oracles')
  let addresses = 0
  for (let i = 0; i < ROUNDS / 4; i++) {
    for (const text of family(random)) {
      const expected = oracle(text)
      same(text, canonical(text), expected)
      if (expected === undefined) continue
      addresses++
      same(text, socketAddress(text), expected)
    }
  }
  // Both kinds came in numbers that mean something.
  expect(addresses).toBeGreaterThan(ROUNDS / 4)
  expect(addresses).toBeLessThan(ROUNDS * 0.9)
})

it('a hop is an address without a zone, at most in brackets and with a port (H3, H8)', () => {
  const random = randomFor('hops')
  for (let i = 0; i < ROUNDS / 10; i++) {
    const text = random.chance(0.5) ? addressLike(random) : mutated(addressLike(random), random)
    const expected = text.includes('%') ? undefined : oracle(text)
    const bracketed = text.includes(':') ? expected : undefined
    const fits = text.length < 50
    // `1:2:3:4:5:6:7` and a port is an address; IPv4 and a port never is.
    if (isIP(text) === 4) same(text, hopAddress(`${text}:8080`), expected)
    if (!text.includes('[') && fits) same(text, hopAddress(`[${text}]`), bracketed)
    if (!text.includes(']') && fits) same(text, hopAddress(`[${text}]:8080`), bracketed)
  }
})

it('keys of every prefix length are the networks that ipaddr.js computes (H5)', () => {
  const random = randomFor('masks against the oracle')
  for (let i = 0; i < ROUNDS / 20; i++) {
    const address = canonical(ipv6(random)) ?? ''
    const prefix = random.integer(32, 128)
    same(address, addressKey(address, prefix), networkOf(address, prefix))
  }
})

function networkOf(address: string, prefix: number): string {
  if (!address.includes(':')) return address
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${prefix}`)
  return `${new URL(`http://[${network.toNormalizedString()}]/`).hostname.slice(1, -1)}/${prefix}`
}
