import { join } from 'node:path'
import { inject } from 'vitest'
import { run } from './command.ts'
import { type ProjectName, RUNTIMES, type Runtime } from './projects.ts'

/** The Node lines to run on. */
export const NODES: readonly number[] = inject('nodes')

/** Where a project lies. */
export function folderOf(project: ProjectName): string {
  return join(inject('place'), project)
}

/** The executable of a Node line: this very process, or one of npm's. */
export function nodeOf(major: number): string {
  if (process.version.startsWith(`v${major}.`)) return process.execPath
  return join(inject('place'), 'nodes/node_modules', `node${major}`, 'bin/node')
}

/** The executable of another runtime, of npm. */
export function programOf(runtime: Runtime): string {
  const { folder, program } = RUNTIMES[runtime]
  return join(inject('place'), 'nodes/node_modules', folder, program)
}

/** Runs a script of a project on a Node line and returns what it printed. */
export function runIn(
  project: ProjectName,
  node: number,
  ...script: readonly string[]
): Promise<string> {
  return run(nodeOf(node), script, folderOf(project))
}
