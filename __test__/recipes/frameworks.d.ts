// What the recipes use of frameworks that are not installed here.

declare module 'next/server' {
  export class NextRequest extends Request {}
  export class NextResponse extends Response {
    static next(init: { readonly headers: Readonly<Record<string, string>> }): NextResponse
  }
}

declare module '@sveltejs/kit' {
  interface RequestEvent {
    readonly request: Request
    getClientAddress(): string
  }
  export type Handle = (input: {
    readonly event: RequestEvent
    resolve(event: RequestEvent): Promise<Response>
  }) => Promise<Response>
}

declare module 'astro' {
  interface APIContext {
    readonly request: Request
    readonly clientAddress: string
  }
  export type MiddlewareHandler = (
    context: APIContext,
    next: () => Promise<Response>,
  ) => Promise<Response>
}

declare module 'elysia' {
  interface RequestContext {
    readonly request: Request
    readonly server: object | null
    readonly set: { readonly headers: Record<string, string | number> }
  }
  export class Elysia {
    onRequest(handler: (context: RequestContext) => Promise<Response | undefined>): this
  }
}

declare module 'h3' {
  interface H3Event {
    readonly req: Request
    readonly res: { readonly headers: Headers }
  }
  export function defineHandler(handler: (event: H3Event) => Promise<unknown>): object
  export function fromNodeMiddleware(
    middleware: (
      request: import('node:http').IncomingMessage,
      response: import('node:http').ServerResponse,
      next: (error?: Error) => void,
    ) => void,
  ): object
}

declare module 'react-router' {
  interface RouterContext<T> {
    readonly defaultValue?: T
  }
  export function createContext<T>(): RouterContext<T>
  export class RouterContextProvider {
    get<T>(context: RouterContext<T>): T
    set<T>(context: RouterContext<T>, value: T): void
  }
  export type MiddlewareFunction<Result> = (
    given: { readonly request: Request; readonly context: Readonly<RouterContextProvider> },
    next: () => Promise<Result>,
  ) => Promise<Result>
}

declare module '@react-router/express' {
  export function createRequestHandler(options: {
    build: () => Promise<unknown>
    getLoadContext(request: import('express').Request): import('react-router').RouterContextProvider
  }): import('express').RequestHandler
}

declare module 'virtual:react-router/server-build'
