import type { WebhookChannel } from '../channel.ts';
import type { Message } from '../compose.ts';
import { httpSend } from '../http-send.ts';
import type { SendContext } from '../send-failure.ts';
import { asJsonText, fillTemplate } from '../template.ts';

/** Sends all fields as JSON, or the channel's template filled in. */
export async function sendWebhook(
  channel: WebhookChannel,
  message: Message,
  context: SendContext,
): Promise<void> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  for (const [name, value] of Object.entries(channel.headers))
    headers[name.toLowerCase()] = await context.reveal(value);
  const isJson = headers['content-type']?.includes('json') ?? false;
  const body =
    channel.body === undefined
      ? JSON.stringify(documentOf(message))
      : fillTemplate(channel.body, message.fields, isJson ? asJsonText : undefined);
  await httpSend({ url: await context.reveal(channel.url), method: channel.method, headers, body }, context);
}

function documentOf({ event, title, text, fields, notices }: Message): object {
  return {
    event,
    title,
    message: text,
    host: fields.host,
    repository: fields.repository === '' ? null : fields.repository,
    time: fields.time,
    notices: notices.map(({ event: own, happening, count, since }) => ({
      event: own,
      outcome: happening.what,
      work: happening.work,
      subject: happening.subject,
      code: happening.fingerprint ?? null,
      message: happening.message,
      detail: happening.detail ?? null,
      hint: happening.hint ?? null,
      stack: happening.stack ?? null,
      policy: happening.policy ?? null,
      snapshot: happening.snapshot ?? null,
      durationMs: happening.durationMs ?? null,
      count,
      since: since ?? null,
    })),
  };
}
