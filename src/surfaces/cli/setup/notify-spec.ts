import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';

/** A channel as the command line can give it; other fields are for holdfast.yaml. */
export interface ChannelSpec {
  readonly type: string;
  /** An http or https address, or a reference to one. */
  readonly url: string;
}

const types = ['ntfy', 'healthchecks', 'slack', 'discord', 'webhook'];

/** `TYPE:ADDRESS`, such as `ntfy:https://ntfy.sh/topic` or `slack:file:/etc/holdfast/slack-url`. */
export function parseChannel(text: string): ChannelSpec {
  const colon = text.indexOf(':');
  const [type, url] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  if (types.includes(type) && /^(?:https?:\/\/[^/\s]|(?:file|env|exec):)[^\s]*$/.test(url))
    return { type, url };
  throw new AppError('usage', `Cannot read the channel ${quote(text)}`, {
    hint: `Write TYPE:ADDRESS, as in ntfy:https://ntfy.sh/my-topic. Types: ${types.join(', ')}. Others, email among them, are described in holdfast.yaml: see docs/guides/notifications.md.`,
  });
}
