import { errorMessage } from '../../../model/errors.ts';
import { readFile } from 'node:fs/promises';
import type { EmailChannel } from '../channel.ts';
import type { Message } from '../compose.ts';
import { SendFailure, type SendContext } from '../send-failure.ts';

const connectMs = 10_000;
const silenceMs = 15_000;

const ports = { tls: 465, starttls: 587, none: 25 } as const;

/** As plain text, over TLS unless the channel turns it off. */
export async function sendEmail(
  channel: EmailChannel,
  { title, text }: Message,
  { reveal, signal }: SendContext,
): Promise<void> {
  const { server, encryption, username, password, from, to } = channel;
  // Loaded only here: a third of a megabyte.
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host: server,
    port: channel.port ?? ports[encryption],
    secure: encryption === 'tls',
    requireTLS: encryption === 'starttls',
    ignoreTLS: encryption === 'none',
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: silenceMs,
    ...(channel.caFile === undefined ? {} : { tls: { ca: await readFile(channel.caFile) } }),
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(username === undefined
      ? {}
      : { auth: { user: username, pass: password === undefined ? '' : await reveal(password) } }),
  });
  const stop = (): void => transport.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const sent = await transport.sendMail({
      from,
      to: [...to],
      subject: title,
      text,
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    if (sent.rejected.length > 0)
      throw new SendFailure(`${server} refused ${sent.rejected.length} of ${to.length} addresses`, {
        canRetry: false,
      });
  } catch (error) {
    throw asFailure(error, server);
  } finally {
    signal.removeEventListener('abort', stop);
    transport.close();
  }
}

/** SMTP codes from 500 are permanent. */
function asFailure(error: unknown, server: string): SendFailure {
  if (error instanceof SendFailure) return error;
  const { message, code, responseCode } = describe(error);
  const isFinal = (responseCode ?? 0) >= 500 || code === 'EAUTH' || code === 'EENVELOPE' || code === 'ETLS';
  return new SendFailure(`${server}: ${message}`, { canRetry: !isFinal, cause: error });
}

function describe(error: unknown): { message: string; code: unknown; responseCode: number | undefined } {
  const message = errorMessage(error);
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  const number: unknown = error instanceof Error && 'responseCode' in error ? error.responseCode : undefined;
  return { message, code, responseCode: typeof number === 'number' ? number : undefined };
}
