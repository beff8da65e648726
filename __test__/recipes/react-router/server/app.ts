import { createRequestHandler } from '@react-router/express'
import express from 'express'
import { RouterContextProvider } from 'react-router'
import { clientAddress } from '../app/limits'

const app = express()
app.use(
  createRequestHandler({
    build: () => import('virtual:react-router/server-build'),
    getLoadContext: ({ socket }) => {
      const context = new RouterContextProvider()
      context.set(clientAddress, socket.remoteAddress)
      return context
    },
  }),
)
app.listen(3000)
