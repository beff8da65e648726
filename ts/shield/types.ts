/** `'watch'` decides and reports but refuses no request, `'enforce'` refuses, `'off'` does nothing at all. */
export type ShieldMode = 'watch' | 'enforce' | 'off'

/**
 * How serious it is: 0 nothing, 1 watched, 2 paced, 3 told to wait (and held back, where there is a tarpit),
 * 4 blocked.
 */
export type Level = 0 | 1 | 2 | 3 | 4

/** Why a request is not level 0. */
export type Reason = 'ceiling' | 'failures' | 'scan' | 'insistent' | 'prefix' | 'lot' | 'pressure'

/** A request as the shield sees it. */
export interface ShieldRequest {
  /** Address of the client. IPv6 addresses of one /64 are one source. */
  readonly ip: string
  /** Path without the query. Counts where requests fail: many distinct ones are a scan. */
  readonly path?: string | undefined
  /** Whether failures here are enough to block, as at a login. Default: false. */
  readonly sensitive?: boolean | undefined
}

/** What the shield says about a request. */
export interface ShieldVerdict {
  readonly level: Level
  /** Empty at level 0. */
  readonly reasons: readonly Reason[]
  /** How long to wait, 0 if the request is not to be refused. */
  readonly retryAfterMs: number
}

/** {@link ShieldVerdict}, and what to do. */
export interface ShieldDecision extends ShieldVerdict {
  /** Always true in watch mode. */
  readonly allowed: boolean
  /** 429 or 503 for a request that is refused; `undefined` for one that is allowed. */
  readonly status: 429 | 503 | undefined
}

/** How a request ended: its status, or `'dropped'` if it was lost before it was answered. */
export type ShieldOutcome = number | 'dropped'

/** What the shield sees now, and what it has done since it was made. */
export interface ShieldState {
  /** Whether the service is offered more than it can do. */
  readonly pressure: boolean
  /** Whether most requests to sensitive routes fail. */
  readonly alarm: boolean
  /** Requests let through. */
  readonly admitted: number
  /** Requests refused; in watch mode 0. */
  readonly refused: number
  /** Requests that enforce mode would have refused, in watch mode. */
  readonly wouldRefuse: number
  /** Share of new sources that are let in now: 1 unless there is pressure. */
  readonly newcomerShare: number
  /** Sources that are blocked now. */
  readonly blocked: number
  /** Sources forgotten because the table was full. */
  readonly evictions: number
}

/** One of the biggest sources, and what is known of it. */
export interface TopSource {
  /** Its address; for IPv6 its /64, as `2001:db8:1:2::/64`. */
  readonly source: string
  /** Requests a minute, over about the last minute, refused ones included. */
  readonly requestsPerMinute: number
  readonly level: Level
  readonly isRegular: boolean
  /** How long it is still blocked, 0 if it is not. */
  readonly blockedMs: number
}
