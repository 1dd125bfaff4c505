import { AppError } from '../../model/errors.ts';
import type { Channel } from './channel.ts';
import type { Message } from './compose.ts';
import type { SendContext } from './send-failure.ts';

/** Sends one message over one channel, once. Throws `SendFailure`. */
export async function send(channel: Channel, message: Message, context: SendContext): Promise<void> {
  switch (channel.type) {
    case 'webhook':
      return await (await import('./senders/webhook.ts')).sendWebhook(channel, message, context);
    case 'email':
      return await (await import('./senders/email.ts')).sendEmail(channel, message, context);
    case 'ntfy':
      return await (await import('./senders/ntfy.ts')).sendNtfy(channel, message, context);
    case 'discord':
      return await (await import('./senders/discord.ts')).sendDiscord(channel, message, context);
    case 'slack':
      return await (await import('./senders/slack.ts')).sendSlack(channel, message, context);
    case 'healthchecks':
      throw new AppError('failed', 'Pings are not messages');
  }
}
