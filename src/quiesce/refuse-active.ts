import { describeConsumers } from '../model/consumers.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type Consumer, isActive } from '../model/volume.ts';

/** Why data cannot be replaced now: containers run on it. Undefined when none do. */
export function activeRefusal(name: string, consumers: readonly Consumer[]): AppError | undefined {
  const active = consumers.filter(isActive);
  if (active.length === 0) return undefined;
  const names = [...new Set(active.map((consumer) => consumer.name))];
  return new AppError(
    'in-use',
    `Cannot restore ${quote(name)}: it is in use by ${describeConsumers(active)}`,
    {
      hint: `Stop ${names.length === 1 ? 'it' : 'them'} first: docker stop ${names.slice(0, 8).join(' ')}`,
    },
  );
}

/** Throws `in-use` when containers run on the data. */
export function refuseActive(name: string, consumers: readonly Consumer[]): void {
  const refusal = activeRefusal(name, consumers);
  if (refusal !== undefined) throw refusal;
}
