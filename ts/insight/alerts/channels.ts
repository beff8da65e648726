import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import * as validate from '../../validate.ts'
import { DeliveryFailure, post } from './post.ts'
import { slackMessage } from './slack-message.ts'
import { type ChannelOptions, readHeaders, readTimeout, readUrl } from './target.ts'
import type { AlertChannel, AlertNotification } from './types.ts'

const TRIES = 3
/** Before the second try, and twice this before the third; each between half and one and a half of it. */
const BACKOFF_MS = 250
const MAX_SECRET_LENGTH = 1_024

/** Options of {@link webhook}. */
export interface WebhookOptions extends ChannelOptions {
  /** Signs what is sent. The receiver has the same. */
  readonly secret: string
  /** Further headers, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Options of {@link slack}. */
export type SlackOptions = ChannelOptions

/** What is sent for a notification, made for each try. */
type Message = (notification: AlertNotification) => {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A channel that posts notifications as JSON, each signed: `X-RateThrottle-Signature` is `sha256=` and the HMAC of
 * `X-RateThrottle-Timestamp`, a dot and the body.
 *
 * @param url with https; with http only to this host, or where option `allowHttp` names its host
 * @throws TypeError or RangeError that names what is wrong. No error shows the URL or the secret.
 */
export function webhook(url: string | URL, options: WebhookOptions): AlertChannel {
  const own = validate.ownOptions(options, ['secret', 'headers', 'timeoutMs', 'allowHttp'])
  const { secret } = own
  if (typeof secret !== 'string' || secret === '' || secret.length > MAX_SECRET_LENGTH) {
    const message = `secret must be a string of 1 to ${MAX_SECRET_LENGTH} characters`
    throw validate.withCode(new TypeError(`${message} (it is not shown)`), 'INVALID_OPTION')
  }
  const further = readHeaders(own.headers)
  return new PostChannel(
    'webhook',
    readUrl(url, own.allowHttp),
    readTimeout(own),
    (notification) => {
      const body = JSON.stringify(notification)
      const timestamp = String(Math.floor(Date.now() / 1_000))
      const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
      return {
        body,
        headers: {
          ...further,
          'user-agent': 'ratethrottle',
          'x-ratethrottle-timestamp': timestamp,
          'x-ratethrottle-signature': `sha256=${signature}`,
        },
      }
    },
  )
}

/**
 * A channel that posts to an incoming webhook of Slack, or of what takes the same, such as Mattermost.
 *
 * @param url as for {@link webhook}. It is a secret, and no error shows it.
 */
export function slack(url: string | URL, options: SlackOptions = {}): AlertChannel {
  const own = validate.ownOptions(options, ['timeoutMs', 'allowHttp'])
  return new PostChannel(
    'slack',
    readUrl(url, own.allowHttp),
    readTimeout(own),
    (notification) => ({
      body: JSON.stringify(slackMessage(notification)),
      headers: { 'user-agent': 'ratethrottle' },
    }),
  )
}

/** Posts, and tries again. Its fields are private: what prints a channel prints no URL and no secret. */
class PostChannel implements AlertChannel {
  readonly kind: 'webhook' | 'slack'
  readonly #url: URL
  readonly #timeoutMs: number
  readonly #message: Message

  constructor(kind: 'webhook' | 'slack', url: URL, timeoutMs: number, message: Message) {
    this.kind = kind
    this.#url = url
    this.#timeoutMs = timeoutMs
    this.#message = message
  }

  async send(notification: AlertNotification): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        const message = this.#message(notification)
        await post({ ...message, url: this.#url, timeoutMs: this.#timeoutMs })
        return
      } catch (error) {
        const isFinal = error instanceof DeliveryFailure && error.isFinal
        if (isFinal || tried >= TRIES) throw error
        const ms = BACKOFF_MS * 2 ** (tried - 1) * (0.5 + Math.random())
        await pause(ms, undefined, { ref: false })
      }
    }
  }
}
