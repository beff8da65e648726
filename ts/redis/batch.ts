import type { Decision } from '../decision.ts'

/** A caller who waits for units that are being charged. */
export interface Claim {
  readonly cost: number
  /** `performance.now()` when it asked: its deadline counts from then. */
  readonly since: number
  resolve(decision: Decision | Promise<Decision>): void
  reject(error: unknown): void
}

/** Units that are charged in one call for several callers. */
export class Batch {
  readonly claims: Claim[] = []
  /** Units that the callers need together. */
  claimed = 0
  /** Units that it may bring. */
  most: number

  /** @param most units that it may bring, until it is known how many are asked for */
  constructor(most: number) {
    this.most = most
  }

  /** Whether it has room for one more caller. */
  hasRoom(cost: number): boolean {
    return this.claimed + cost <= this.most
  }

  add(claim: Claim): void {
    this.claims.push(claim)
    this.claimed += claim.cost
  }

  /** Cost of the caller who needs least. */
  get least(): number {
    return Math.min(...this.claims.map(({ cost }) => cost))
  }
}
