import type { DiscordChannel } from '../channel.ts';
import type { Message } from '../compose.ts';
import { httpSend } from '../http-send.ts';
import type { SendContext } from '../send-failure.ts';

const colours: Readonly<Record<Message['event'], number>> = {
  failure: 0xd9_2d_20,
  anomaly: 0xdc_68_03,
  missed: 0xdc_68_03,
  recovery: 0x07_94_55,
  success: 0x07_94_55,
  test: 0x47_54_67,
};

export async function sendDiscord(
  channel: DiscordChannel,
  { event, title, text }: Message,
  context: SendContext,
): Promise<void> {
  const embed = { title: cut(title, 256), description: cut(text, 4096), color: colours[event] };
  const body = JSON.stringify({
    username: 'Holdfast',
    embeds: [embed],
    // A volume's name must not call everybody.
    allowed_mentions: { parse: [] },
  });
  const headers = { 'content-type': 'application/json' };
  await httpSend({ url: await context.reveal(channel.url), headers, body }, context);
}

function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
