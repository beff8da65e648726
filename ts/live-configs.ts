/** A configuration file that a program uses. */
export interface LiveConfig {
  state(): { readonly file: string | undefined; readonly stale: boolean }
  /** Never rejects: what is wrong is in the result. */
  reload(): Promise<object>
}

/** Held weakly: a program that drops a configuration without closing it must not keep it here. */
const known = new Set<WeakRef<LiveConfig>>()

/** Has the command line find it. Returns what ends that. */
export function addLiveConfig(config: LiveConfig): () => void {
  for (const each of known) if (each.deref() === undefined) known.delete(each)
  const weak = new WeakRef(config)
  known.add(weak)
  return () => known.delete(weak)
}

/** The configuration files of this thread. */
export function liveConfigs(): LiveConfig[] {
  return [...known].flatMap((each) => each.deref() ?? [])
}
