import { errorMessage } from '../../model/errors.ts';
import { SendFailure, type SendContext } from './send-failure.ts';

export interface HttpSend {
  readonly url: string;
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const attemptMs = 15_000;

/**
 * One request that must be answered with 2xx. Errors name the host only: the rest of the address may be a
 * secret.
 */
export async function httpSend(
  { url, method = 'POST', headers, body }: HttpSend,
  { signal }: Pick<SendContext, 'signal'>,
): Promise<void> {
  const address = addressOf(url);
  const response = await fetch(address, {
    method,
    redirect: 'manual',
    headers: { 'user-agent': 'holdfast', ...headers },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]),
  }).catch((error: unknown) => {
    throw new SendFailure(`Cannot reach ${address.host}: ${reasonOf(error)}`, {
      canRetry: true,
      cause: error,
    });
  });
  const answer = await shortAnswer(response, address);
  if (response.ok) return;
  const { status } = response;
  if (status >= 300 && status < 400)
    throw new SendFailure(
      `${address.host} answered ${status}: it sends to another address, which is not followed`,
      {
        canRetry: false,
      },
    );
  throw new SendFailure(`${address.host} answered ${status}${answer === '' ? '' : `: ${answer}`}`, {
    canRetry: status === 408 || status === 425 || status === 429 || status >= 500,
    retryAfterMs: retryAfterOf(response.headers.get('retry-after')),
  });
}

/** The address may come from a secret. */
export function addressOf(url: string): URL {
  const address = URL.parse(url.trim());
  if (address?.protocol !== 'http:' && address?.protocol !== 'https:')
    throw new SendFailure('The address is none of http or https', { canRetry: false });
  // It would not be sent, and the error of that names all of the address.
  if (address.username !== '' || address.password !== '')
    throw new SendFailure('The address holds a user name or a password, and these are not sent', {
      canRetry: false,
    });
  return address;
}

const shownBytes = 300;
const readBytes = 4096;

/** Reads only a little of the answer, however long it is: more than is shown, so that no key is cut in two. */
async function shortAnswer(response: Response, address: URL): Promise<string> {
  let text = '';
  try {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.length >= readBytes) break;
    }
  } catch {
    // The status is enough.
  }
  return withoutPartsOf(address, text).replace(/\s+/g, ' ').trim().slice(0, shownBytes);
}

/** Keys are longer; shorter parts are words such as "hook", which the answer needs. */
const shortestKey = 8;

/** An error page often names the path that was asked for, and that of a hook or a watch is its key. */
function withoutPartsOf({ pathname, search, searchParams }: URL, answer: string): string {
  const ofPath = pathname.split('/');
  const parts = [...ofPath, ...ofPath.map(decoded), ...search.split(/[?&=]/), ...searchParams.values()];
  const telling = parts.filter((part) => part.length >= shortestKey).toSorted((a, b) => b.length - a.length);
  return telling.reduce((text, part) => text.replaceAll(part, '***'), answer);
}

/** A part as a server may show it. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  if (error instanceof Error && error.name === 'AbortError') return 'stopped';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return errorMessage(cause);
}

/** Seconds, or a date. */
function retryAfterOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const seconds = Number(text);
  const ms = Number.isNaN(seconds) ? Date.parse(text) - Date.now() : seconds * 1000;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
