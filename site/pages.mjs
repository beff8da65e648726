// Puts the pages of docs/ where VitePress finds Vue beside them. Run before each build.
import { cpSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))

rmSync(at('pages'), { recursive: true, force: true })
cpSync(at('../docs'), at('pages'), { recursive: true })
