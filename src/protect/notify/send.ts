import { AppError } from '../../model/errors.ts';
import type { Channel } from './channel.ts';
import type { Message } from './compose.ts';

/** What a sender works with. */
export interface SendContext {
  readonly signal: AbortSignal;
  /** What a reference leads to; anything else is the value itself. What it leads to is never shown. */
  readonly reveal: (textOrReference: string) => Promise<string>;
}

/** An attempt that failed. */
export class SendFailure extends Error {
  /** False when another attempt would end the same. */
  readonly canRetry: boolean;
  /** What the other side asked for. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: { canRetry: boolean; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.name = 'SendFailure';
    this.canRetry = options.canRetry;
    this.retryAfterMs = options.retryAfterMs;
  }
}

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
