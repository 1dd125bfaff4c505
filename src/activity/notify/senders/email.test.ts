import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates } from '../../../../test/docker/certificates.ts';
import type { EmailChannel } from '../channel.ts';
import { composeMessage, testMessage } from '../compose.ts';
import { sendEmail } from './email.ts';

let folder: string;
let certificates: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'smtp-'));
  certificates = (await makeCertificates(folder)).server;
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Letter {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly isSecure: boolean;
  readonly text: string;
}

interface Mailbox extends AsyncDisposable {
  readonly port: number;
  readonly letters: Letter[];
}

async function startServer(options: SMTPServerOptions): Promise<Mailbox> {
  const letters: Letter[] = [];
  const server = new SMTPServer({
    logger: false,
    key: readFileSync(join(certificates, 'server-key.pem')),
    cert: readFileSync(join(certificates, 'server-cert.pem')),
    onAuth(auth, _session, done) {
      if (auth.username === 'joe' && auth.password === 'p"ss wörd') done(null, { user: 'joe' });
      else done(new Error('Invalid username or password'));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        letters.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          user: typeof session.user === 'string' ? session.user : undefined,
          isSecure: session.secure,
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
    ...options,
  });
  server.on('error', () => {});
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port,
    letters,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function channel(port: number, rest: Partial<EmailChannel> = {}): EmailChannel {
  return {
    name: 'mail',
    type: 'email',
    on: [],
    volumes: [],
    policies: [],
    title: undefined,
    message: undefined,
    retryForMs: 1000,
    server: '127.0.0.1',
    port,
    encryption: 'none',
    caFile: join(certificates, 'ca.pem'),
    username: undefined,
    password: undefined,
    from: 'Holdfast <holdfast@example.com>',
    to: ['a@example.com', 'b@example.com'],
    ...rest,
  };
}

const message = {
  ...testMessage({ host: 'nas', nowMs: 0 }),
  title: 'Backup of "données" failed',
  text: 'One\n.\nTwo',
};
const context = { signal: new AbortController().signal, reveal: async () => 'p"ss wörd' };

test('a letter arrives complete at every recipient', async () => {
  await using mailbox = await startServer({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
  await sendEmail(channel(mailbox.port), message, context);
  expect(mailbox.letters).toMatchObject([
    { from: 'holdfast@example.com', to: ['a@example.com', 'b@example.com'], isSecure: false },
  ]);
  const text = mailbox.letters[0]?.text ?? '';
  expect(text).toContain('Auto-Submitted: auto-generated');
  expect(text).toMatch(/^Subject: =\?UTF-8\?.*/m);
  expect(text).toContain('One\r\n.\r\nTwo');
});

test("a letter has the engine's reason", async () => {
  await using mailbox = await startServer({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
  const happening = { what: 'failed', work: 'backup', subject: 'pg', message: 'Cannot start "pg"' } as const;
  const told = { event: 'failure', happening: { ...happening, detail: 'port is taken' }, count: 1 } as const;
  const facts = { host: 'nas', nowMs: 0 };
  const composed = composeMessage([{ ...told, since: undefined }], facts, {
    title: undefined,
    message: undefined,
  });
  await sendEmail(channel(mailbox.port), composed, context);
  expect(mailbox.letters[0]?.text).toContain('port is taken');
});

test('the password goes over an encrypted connection', async () => {
  await using mailbox = await startServer({});
  const login = { encryption: 'starttls', username: 'joe', password: 'env:P' } as const;
  await sendEmail(channel(mailbox.port, login), message, context);
  expect(mailbox.letters).toMatchObject([{ user: 'joe', isSecure: true }]);
});

test('a connection can be encrypted from its start', async () => {
  await using mailbox = await startServer({ secure: true });
  const login = { encryption: 'tls', username: 'joe', password: 'env:P' } as const;
  await sendEmail(channel(mailbox.port, login), message, context);
  expect(mailbox.letters).toMatchObject([{ user: 'joe', isSecure: true }]);
});

test('a server without encryption gets no letter and no password', async () => {
  await using mailbox = await startServer({ authOptional: true, disabledCommands: ['STARTTLS'] });
  const login = { encryption: 'starttls', username: 'joe', password: 'env:P' } as const;
  await expect(sendEmail(channel(mailbox.port, login), message, context)).rejects.toMatchObject({
    name: 'SendFailure',
  });
  expect(mailbox.letters).toEqual([]);
});

test('a certificate of an unknown authority is refused', async () => {
  await using mailbox = await startServer({});
  const unknown = channel(mailbox.port, { encryption: 'starttls', caFile: undefined });
  await expect(sendEmail(unknown, message, context)).rejects.toThrow(/certificate/);
  expect(mailbox.letters).toEqual([]);
});

test('a wrong password is not retried', async () => {
  await using mailbox = await startServer({});
  const login = { encryption: 'starttls', username: 'joe', password: 'env:P' } as const;
  const wrong = { ...context, reveal: async () => 'wrong' };
  await expect(sendEmail(channel(mailbox.port, login), message, wrong)).rejects.toMatchObject({
    canRetry: false,
  });
});

test('a name cannot add header lines to a letter', async () => {
  await using mailbox = await startServer({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
  await sendEmail(channel(mailbox.port), { ...message, title: 'x\r\nBcc: evil@example.com' }, context);
  expect(mailbox.letters[0]?.to).toHaveLength(2);
  expect(mailbox.letters[0]?.text).not.toMatch(/^Bcc:/m);
});

test('a server that does not answer is retried later', async () => {
  const startedMs = performance.now();
  await expect(sendEmail(channel(1), message, context)).rejects.toMatchObject({ canRetry: true });
  expect(performance.now() - startedMs).toBeLessThan(15_000);
});
