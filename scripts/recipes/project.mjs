// A project of a user: a folder with the packed package and others from npm, in which programs run.
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'

/** The longest that one command may take. */
const LIMIT_MS = 240_000
const env = { ...process.env, NODE_ENV: '', NODE_OPTIONS: '', NEXT_TELEMETRY_DISABLED: '1' }

/** What a command printed. Its process group is ended with it, and after four minutes. */
export function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
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

export class Project {
  constructor(folder) {
    this.folder = folder
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

  install(...packages) {
    const flags = [
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--prefer-offline',
      '--loglevel=error',
    ]
    return run('npm', ['install', ...flags, ...packages], this.folder)
  }

  /** Runs a program of the installed packages, or of Node. */
  run(program, ...args) {
    const path =
      program === 'node' ? process.execPath : join(this.folder, 'node_modules/.bin', program)
    return run(path, args, this.folder)
  }

  /** What becomes of `act` with the URL of a server, which then is ended. */
  async serve(args, settings, act) {
    const port = await freePort()
    const given = args.map((arg) => arg.replace('PORT', String(port)))
    const own = { ...env, ...settings, PORT: String(port) }
    const child = spawn(process.execPath, given, {
      cwd: this.folder,
      env: own,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
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
