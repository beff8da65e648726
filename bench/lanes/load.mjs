import { Client, FreshClient } from '../client.mjs'
import { serveLane } from '../lane.mjs'

const CONNECTIONS = 50

const clientsByPort = new Map()

serveLane({ fire })

/** Sends `requests` to one server, over its open connections or each over its own; answers the seconds it took. */
async function fire({ port, requests, status, isFresh }) {
  const clients = isFresh ? freshClients(port) : await clientsOf(port)
  const share = Math.ceil(requests / clients.length)
  const start = performance.now()
  await Promise.all(clients.map((client) => client.send(share, status)))
  return { seconds: (performance.now() - start) / 1000, requests: share * clients.length }
}

const freshClients = (port) => Array.from({ length: CONNECTIONS }, () => new FreshClient(port))

/** Connections stay open from round to round: opening them is no part of what is measured. */
async function clientsOf(port) {
  if (!clientsByPort.has(port)) {
    const opening = Array.from({ length: CONNECTIONS }, () => Client.connect(port))
    clientsByPort.set(port, await Promise.all(opening))
  }
  return clientsByPort.get(port)
}
