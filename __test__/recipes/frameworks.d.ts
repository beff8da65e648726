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
