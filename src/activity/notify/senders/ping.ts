import type { HealthchecksChannel } from '../channel.ts';
import { addressOf, httpSend } from '../http-send.ts';
import type { SendContext } from '../send-failure.ts';

export interface Ping {
  readonly sign: 'start' | 'success' | 'fail';
  /** A volume; undefined for the whole run. */
  readonly subject: string | undefined;
  /** For the watch's own log. */
  readonly text: string;
}

const endings = { start: '/start', success: '', fail: '/fail' } as const;

/** Tells an external watch that work has begun, succeeded or failed. */
export async function sendPing(
  channel: HealthchecksChannel,
  { sign, subject, text }: Ping,
  context: SendContext,
): Promise<void> {
  const address = addressOf(await addressFor(channel, { subject, context }));
  if (channel.type === 'uptime-kuma') return await pushUp(address, { sign, text }, context);
  address.pathname = `${address.pathname.replace(/\/$/, '')}${endings[sign]}`;
  const headers = { 'content-type': 'text/plain; charset=utf-8' };
  await httpSend({ url: address.href, headers, body: text.slice(0, 10_000) }, context);
}

const longestMessage = 250;

/** Nothing is pushed at a start: it would count as a good end. */
async function pushUp(
  address: URL,
  { sign, text }: Omit<Ping, 'subject'>,
  context: SendContext,
): Promise<void> {
  if (sign === 'start') return;
  address.searchParams.set('status', sign === 'fail' ? 'down' : 'up');
  address.searchParams.set('msg', sign === 'fail' ? text.slice(0, longestMessage) : 'OK');
  await httpSend({ url: address.href, method: 'GET' }, context);
}

async function addressFor(
  { url }: HealthchecksChannel,
  { subject, context }: { readonly subject: string | undefined; readonly context: SendContext },
): Promise<string> {
  const address = (await context.reveal(url)).trim();
  if (subject === undefined) return address;
  const slug = slugOf(subject);
  return address.includes('{volume}')
    ? address.replaceAll('{volume}', slug)
    : `${address.replace(/\/$/, '')}/${slug}`;
}

/** The characters that such addresses accept: lower-case letters, digits, "-" and "_". */
function slugOf(subject: string): string {
  return subject
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^-+|-+$/g, '');
}
