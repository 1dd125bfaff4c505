import type { SlackChannel } from '../channel.ts';
import type { Message } from '../compose.ts';
import { httpSend } from '../http-send.ts';
import type { SendContext } from '../send-failure.ts';

const longest = 30_000;

export async function sendSlack(
  channel: SlackChannel,
  { title, text }: Message,
  context: SendContext,
): Promise<void> {
  const body = JSON.stringify({ text: `*${escaped(title)}*\n${escaped(text).slice(0, longest)}` });
  const headers = { 'content-type': 'application/json' };
  await httpSend({ url: await context.reveal(channel.url), headers, body }, context);
}

/** Escapes Slack's three special characters; no name can mention people or make a link. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
