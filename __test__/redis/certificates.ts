import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate and its key, as files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate authority for tests, and the certificates that it signs. */
export class Authority {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'ratethrottle-tls-'))
  readonly own: Certificate

  constructor() {
    this.own = this.selfSigned('authority', '/CN=authority of a test')
  }

  /** The authority's certificate, as text. */
  get text(): string {
    return readFileSync(this.own.cert, 'utf8')
  }

  read(file: string): string {
    return readFileSync(file, 'utf8')
  }

  /** A certificate that it has signed, for these names. */
  issue(name: string, names = 'IP:127.0.0.1,DNS:localhost', days = '2'): Certificate {
    const [key, cert, request, extensions] = ['key', 'crt', 'csr', 'ext'].map((end) =>
      join(this.directory, `${name}.${end}`),
    ) as [string, string, string, string]
    writeFileSync(extensions, `subjectAltName=${names}\n`)
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      request,
      '-subj',
      `/CN=${name}`,
    )
    const signing = ['-CA', this.own.cert, '-CAkey', this.own.key, '-CAcreateserial']
    openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...signing,
      '-out',
      cert,
      '-days',
      days,
      '-extfile',
      extensions,
    )
    return { cert, key }
  }

  /** A self-signed certificate. */
  selfSigned(name: string, subject = `/CN=${name}`): Certificate {
    const key = join(this.directory, `${name}.key`)
    const cert = join(this.directory, `${name}.crt`)
    const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert]
    openssl(
      'req',
      ...made,
      '-days',
      '2',
      '-subj',
      subject,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    )
    return { cert, key }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
