import type { PolicyMemory } from '../catalog/catalog.ts';
import { AppError } from '../model/errors.ts';
import type { AnomalyRecord } from '../model/policy-run.ts';
import { quote } from '../model/quote.ts';

/** Accepts a volume's anomalies, by its name, and returns them. */
export function acceptAnomalies(
  memory: PolicyMemory,
  { volume, nowMs }: { readonly volume: string; readonly nowMs: number },
): AnomalyRecord[] {
  const open = memory.listOpenAnomalies();
  const found = open.filter(({ volumeName }) => volumeName === volume);
  if (found.length === 0) {
    const names = [...new Set(open.map(({ volumeName }) => quote(volumeName)))];
    throw new AppError('not-found', `Nothing was noticed about ${quote(volume)}`, {
      hint:
        names.length === 0
          ? 'All volumes look as they should.'
          : `There is something about ${names.join(', ')}.`,
    });
  }
  const at = new Date(nowMs).toISOString();
  for (const identity of new Set(found.map(({ volumeIdentity }) => volumeIdentity)))
    memory.acceptAnomalies(identity, at);
  return found;
}
