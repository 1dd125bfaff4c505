import type { NtfyChannel } from '../channel.ts';
import type { Message } from '../compose.ts';
import { addressOf, httpSend } from '../http-send.ts';
import { SendFailure, type SendContext } from '../send-failure.ts';

const priorities: Readonly<Record<Message['event'], number>> = {
  failure: 4,
  anomaly: 4,
  missed: 4,
  recovery: 3,
  success: 2,
  test: 3,
};

const tags: Readonly<Record<Message['event'], string>> = {
  failure: 'rotating_light',
  anomaly: 'warning',
  missed: 'alarm_clock',
  recovery: 'white_check_mark',
  success: 'white_check_mark',
  test: 'wave',
};

/** ntfy's limit for a message; it turns a longer one into a file. */
const longestBytes = 3800;

/** As JSON to the server's root, since a header cannot carry every character. */
export async function sendNtfy(channel: NtfyChannel, message: Message, context: SendContext): Promise<void> {
  const address = addressOf(await context.reveal(channel.url));
  const [, folder = '', topic = ''] = /^(.*\/)([^/]+)\/?$/.exec(address.pathname) ?? [];
  if (topic === '')
    throw new SendFailure('The address names no topic: write https://SERVER/TOPIC', { canRetry: false });
  const body = JSON.stringify({
    topic: decodeURIComponent(topic),
    title: message.title,
    message: cut(message.text),
    priority: priorities[message.event],
    tags: [tags[message.event]],
  });
  const headers = { 'content-type': 'application/json', ...(await authorization(channel, context)) };
  await httpSend({ url: new URL(folder, address).href, headers, body }, context);
}

async function authorization(
  { token, username, password }: NtfyChannel,
  { reveal }: SendContext,
): Promise<Record<string, string>> {
  if (token !== undefined) return { authorization: `Bearer ${await reveal(token)}` };
  if (username === undefined) return {};
  const pair = `${username}:${password === undefined ? '' : await reveal(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= longestBytes) return text;
  return `${bytes.toString('utf8', 0, longestBytes).replace(/\ufffd+$/, '')}…`;
}
