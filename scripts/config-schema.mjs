// Writes the JSON Schema of configuration files beside their code: part of npm run build:ts.
import { writeFileSync } from 'node:fs'
import { schema } from '../dist/config/schema.js'

writeFileSync('dist/config/schema.json', `${JSON.stringify(schema())}\n`)
