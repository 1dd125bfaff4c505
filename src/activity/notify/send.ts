import { AppError } from '../../model/errors.ts';
import type { Channel } from './channel.ts';
import type { Message } from './compose.ts';
import type { SendContext } from './send-failure.ts';
import { sendWebhook } from './senders/webhook.ts';
import { sendEmail } from './senders/email.ts';
import { sendNtfy } from './senders/ntfy.ts';
import { sendDiscord } from './senders/discord.ts';
import { sendSlack } from './senders/slack.ts';

/** Sends one message over one channel, once. Throws `SendFailure`. */
export async function send(channel: Channel, message: Message, context: SendContext): Promise<void> {
  switch (channel.type) {
    case 'webhook':
      return await sendWebhook(channel, message, context);
    case 'email':
      return await sendEmail(channel, message, context);
    case 'ntfy':
      return await sendNtfy(channel, message, context);
    case 'discord':
      return await sendDiscord(channel, message, context);
    case 'slack':
      return await sendSlack(channel, message, context);
    case 'healthchecks':
    case 'uptime-kuma':
      throw new AppError('failed', 'Pings are not messages');
  }
}
