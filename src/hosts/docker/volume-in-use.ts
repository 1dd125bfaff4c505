import { AppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';

const namedAtMost = 5;

/** The error for a volume that cannot be removed, with who holds it. */
export function inUse(volume: Volume, cause: unknown): AppError {
  const { name, consumers } = volume;
  if (consumers.length === 0) {
    return new AppError('in-use', `Cannot remove volume "${name}": it is in use`, {
      detail: cause instanceof AppError ? cause.detail : undefined,
      hint: 'A backup or restore of it may be running: try again when that is done.',
      cause,
    });
  }
  const holders = new Map(consumers.map((consumer) => [consumer.id, consumer]));
  const named = [...holders.values()]
    .slice(0, namedAtMost)
    .map((consumer) => `"${consumer.name}" (${consumer.state})`);
  const more = holders.size > namedAtMost ? ` and ${holders.size - namedAtMost} more` : '';
  return new AppError(
    'in-use',
    `Cannot remove volume "${name}": it is in use by ${named.join(', ')}${more}`,
    {
      hint: 'A container holds its volumes until it is removed, stopped ones too.',
      cause,
    },
  );
}
