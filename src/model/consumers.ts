import { AppError } from './errors.ts';
import { quote } from './quote.ts';
import type { Consumer, ConsumerState } from './volume.ts';

const stateWords: Readonly<Record<ConsumerState, string>> = {
  created: 'created',
  running: 'running',
  paused: 'paused',
  restarting: 'restarting',
  removing: 'being removed',
  exited: 'stopped',
  dead: 'dead',
};

/** More names would make the message too long. */
const shownAtMost = 8;

/**
 * `"web-db-1" (running), "x" (stopped)`. A container that mounts the volume at several paths appears once.
 */
export function describeConsumers(consumers: readonly Consumer[]): string {
  const unique = [...new Map(consumers.map((consumer) => [consumer.id, consumer])).values()];
  const shown = unique.slice(0, shownAtMost).map(describe);
  if (unique.length > shownAtMost) shown.push(`and ${unique.length - shownAtMost} more`);
  return shown.join(', ');
}

function describe(consumer: Consumer): string {
  return `${quote(consumer.name)} (${stateWords[consumer.state]})`;
}

/** `Cannot remove "pg": it is in use by "web-db-1" (running), "x" (stopped)`, as an `in-use` error. */
export function inUseError(action: string, name: string, consumers: readonly Consumer[]): AppError {
  const ids = new Set(consumers.map((consumer) => consumer.id));
  return new AppError(
    'in-use',
    `Cannot ${action} ${quote(name)}: it is in use by ${describeConsumers(consumers)}`,
    {
      hint: `Remove ${ids.size === 1 ? 'that container' : 'those containers'} first.`,
    },
  );
}
