import { errorMessage, isAppError } from '../../model/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { secretReader } from '../../lib/secret.ts';
import { longestTimerMs } from '../../model/duration.ts';
import { withoutSecrets } from '../log/without-secrets.ts';
import type { Channel } from './channel.ts';
import type { SendResult } from './notifier.ts';
import { SendFailure, type SendContext } from './send-failure.ts';

export interface SendRequest {
  readonly channel: Channel;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly attempt: (context: SendContext) => Promise<void>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
const longestAskedMs = 86_400_000;

/** Retries for as long as the channel says. Never throws, and shows no secret. */
export async function tryToSend({ channel, env, signal, attempt }: SendRequest): Promise<SendResult> {
  const secrets = new Set<string>();
  const ended = AbortSignal.any([signal, AbortSignal.timeout(Math.min(channel.retryForMs, longestTimerMs))]);
  const context: SendContext = { signal: ended, reveal: revealer(env, secrets) };
  const result = { channel: channel.name, type: channel.type };
  let reason: string | undefined;
  for (let attempts = 1; ; attempts++) {
    try {
      await attempt(context);
      return { ...result, isSent: true, attempts, message: undefined };
    } catch (error) {
      // An attempt that the deadline aborted says less than the one before it.
      if (reason === undefined || !ended.aborted) reason = hidden(messageOf(error), secrets);
      const pauseMs = pauseAfter(error, attempts);
      const failed = { ...result, isSent: false, attempts, message: reason };
      if (pauseMs === undefined || ended.aborted) return failed;
      try {
        await sleep(pauseMs, undefined, { signal: ended });
      } catch {
        return failed;
      }
    }
  }
}

/** Undefined when another attempt would fail the same way. */
function pauseAfter(error: unknown, attempts: number): number | undefined {
  if (!(error instanceof SendFailure) || !error.canRetry) return undefined;
  const backoffMs = Math.min(firstPauseMs * 2 ** (attempts - 1), longestPauseMs);
  return Math.max(Math.min(error.retryAfterMs ?? 0, longestAskedMs), backoffMs * (0.75 + Math.random() / 2));
}

function revealer(env: SendRequest['env'], secrets: Set<string>): SendContext['reveal'] {
  const read = secretReader(env);
  return async (text) => {
    if (!/^(file|env|exec):/.test(text)) return text;
    const secret = await read(text);
    secrets.add(secret);
    return secret;
  };
}

function messageOf(error: unknown): string {
  if (error instanceof SendFailure) return error.message;
  return isAppError(error) ? error.message : `It failed: ${errorMessage(error)}`;
}

/** Removes secrets that the server's answer repeats. */
function hidden(message: string, secrets: ReadonlySet<string>): string {
  let clean = message;
  for (const secret of secrets) if (secret.length > 3) clean = clean.replaceAll(secret, '***');
  return withoutSecrets(clean);
}
