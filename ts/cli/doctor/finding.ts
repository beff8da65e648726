/** How bad it is: a limit that does not hold, or something that will surprise. */
export type Severity = 'problem' | 'warning'

/** Something that is wrong with a setup. */
export interface Finding {
  /** Stable name of what it is. */
  readonly code: string
  readonly severity: Severity
  /** Where: a file and an option, a variable, a process. */
  readonly where: string
  readonly what: string
  readonly why: string
  /** What to write, or do, instead. */
  readonly instead: string
}

/** One thing that is so, right or wrong. */
export interface Fact {
  readonly where: string
  readonly what: string
}

/** What has been found out. */
export interface Diagnosis {
  readonly facts: Fact[]
  readonly findings: Finding[]
}
