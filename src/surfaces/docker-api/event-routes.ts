import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { longestTimerMs } from '../../model/duration.ts';
import { ApiError } from './api-error.ts';
import { parseFilters, type RawFilters } from './api-filters.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import type { TimedEvent } from './event-log.ts';

const unreadAtMostBytes = 4 << 20;

/**
 * One JSON object per line: events since `since`, then new ones until `until`, or until the client
 * disconnects.
 */
export async function streamEvents(
  { events }: ApiParts,
  { request, query, response, signal }: ApiCall,
): Promise<void> {
  const since = timeOf(query.get('since'));
  const until = timeOf(query.get('until'));
  const filters = parseFilters(query.get('filters'));
  const write = (timed: TimedEvent): void => {
    if (since !== undefined && timed.nanoseconds < since) return;
    if (until !== undefined && timed.nanoseconds > until) return;
    if (!matches(timed, filters)) return;
    response.write(`${JSON.stringify(timed.event)}\n`);
    // A client that does not read is cut off: its unread events would fill the memory.
    if (response.writableLength > unreadAtMostBytes) response.destroy();
  };
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  if (since !== undefined || until !== undefined) for (const timed of events.past()) write(timed);
  const waitMs = until === undefined ? longestTimerMs : Number(until / 1_000_000n) - Date.now();
  if (waitMs > 0) {
    using _listening = events.listen(write);
    using left = whenLeft(request);
    const either = AbortSignal.any([signal, left.signal]);
    // A client that has gone ends the wait.
    await sleep(Math.min(waitMs, longestTimerMs), undefined, { signal: either }).catch(() => undefined);
  }
  response.end();
}

/**
 * Aborted when the client has closed its side: it still reads what was sent, and nothing else would show when
 * it disconnects.
 */
function whenLeft({ socket }: IncomingMessage): Disposable & { readonly signal: AbortSignal } {
  const left = new AbortController();
  const leave = (): void => left.abort();
  if (socket.readableEnded) leave();
  socket.once('end', leave);
  return { signal: left.signal, [Symbol.dispose]: () => socket.off('end', leave) };
}

/** Seconds with up to nine decimals, as nanoseconds. */
function timeOf(text: string | null): bigint | undefined {
  if (text === null || text === '') return undefined;
  const [, seconds, fraction = ''] = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds === undefined)
    throw new ApiError(500, `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** Every key needs a match among its values. Keys that the engine does not know are ignored. */
function matches({ event }: TimedEvent, filters: RawFilters): boolean {
  const { ID: id, Attributes: attributes } = event.Actor;
  return [...filters].every(([key, values]) => {
    if (values.length === 0) return true;
    switch (key) {
      case 'type':
        return values.includes(event.Type);
      case 'event':
        return values.includes(event.Action);
      case 'scope':
        return values.includes(event.scope);
      case 'label':
        return values.every((label) => hasLabel(attributes, label));
      case 'volume':
        return values.some((value) => id.startsWith(value));
      case 'container':
      case 'image':
      case 'network':
      case 'plugin':
      case 'daemon':
      case 'node':
      case 'service':
      case 'secret':
      case 'config':
        return false;
      default:
        return true;
    }
  });
}

function hasLabel(attributes: Readonly<Record<string, string>>, label: string): boolean {
  const [key = '', ...rest] = label.split('=');
  if (!Object.hasOwn(attributes, key)) return false;
  return rest.length === 0 || attributes[key] === rest.join('=');
}
