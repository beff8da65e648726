// Reloads under load: npm run prove:reload. Replaces a configuration file 10,000 times, with good and broken files at
// random, by renames and in place, while clients ask as fast as they can; and compares what was admitted with an
// independent log. Options: RATETHROTTLE_RELOADS, RATETHROTTLE_SEED. Ends with 1 if a bound does not hold.
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { loadConfig } from 'ratethrottle/config'
import { rateThrottle } from 'ratethrottle/http'
import { createServer } from 'node:http'
