export const REPLAY_USAGE = `Usage: ratethrottle replay <log>... --limits <limits> [options]

Tells whom a limit would have refused, how often, when and on which routes, from the logs that you have: before you
turn it on. Nothing is limited, and nothing leaves this machine.

  npx ratethrottle replay access.log --limits '100/minute'
  npx ratethrottle replay access.log* --limits '100/minute' --limits '20/second; 1000/hour'
  zcat app.log.gz | npx ratethrottle replay - --limits '60/minute' --key user

  <log>...             files, also compressed by gzip; "-" is standard input. Several are merged by time
  --limits <limits>    what to try; give it up to 8 times to compare
  --key <key>          ip (default), user, ip+path, or a field of JSON logs such as req.headers.x-api-key
  --algorithm <name>   token-bucket (default), leaky-bucket, sliding-window, sliding-log or fixed-window
  --burst <count>      units that a bucket holds, if not the count of its limit
  --block-for <time>   after a refusal, refuse for so long: 5m
  --format <format>    auto (default), combined, common or json
  --time-field <name>  field of JSON logs with the time; --ip-field and --path-field likewise
  --ip-field x-forwarded-for   in combined logs: the field behind the user agent, as nginx's "main" writes it
  --path-prefix <path> only requests for this path and those below it
  --method <method>    only requests of this method
  --since, --until     only requests from then on, or before: 2026-11-30T12:00Z, or 24h for a time ago
  --top <count>        rows of each table. Default: 20
  --clients <count>    clients that are told apart at once. Default: 262144
  --json               prints everything as JSON
  --help               prints this text
`

/** Printed where no line of a log could be read. */
export const FORMATS_HELP = `Lines are read in these formats:

  common, combined (nginx, Apache):
    203.0.113.9 - - [30/Nov/2026:11:28:10 +0000] "GET /api/items?page=2 HTTP/1.1" 200 512 "-" "curl/8.5"
  JSON, one object a line (pino, bunyan, caddy, morgan, nginx): with a time, an address and a path
    {"time":1796038090123,"req":{"method":"GET","url":"/api/items","remoteAddress":"203.0.113.9"}}

Other names of fields: --time-field, --ip-field, --path-field, and --key for whom to count.
`
