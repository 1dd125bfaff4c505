import type { PolicyMemory } from '../catalog/catalog.ts';
import { knownError } from '../lib/known-error.ts';
import { quote } from '../model/quote.ts';
import type { Subject } from './subject.ts';
import type { SubjectOutcome } from './work.ts';

interface AnomalyScope {
  readonly memory: PolicyMemory;
  readonly now: () => number;
  readonly say: (message: string) => void;
}

/** Records anomalies: until the user accepts them, nothing of the volume is forgotten or pruned. */
export function noteAnomalies(
  { memory, now, say }: AnomalyScope,
  subject: Subject,
  outcome: SubjectOutcome,
): void {
  const { snapshotId, repositoryId } = outcome;
  if (snapshotId === undefined || repositoryId === undefined) return;
  for (const { kind, message } of outcome.anomalies) {
    say(
      `Warning: ${quote(subject.name)} ${message}. Nothing of it is forgotten or pruned until it is accepted.`,
    );
    try {
      memory.recordAnomaly({
        repositoryId,
        snapshotId,
        kind,
        message,
        volumeIdentity: subject.identity,
        volumeName: subject.name,
        foundAt: new Date(now()).toISOString(),
        acceptedAt: undefined,
      });
    } catch (error) {
      say(`Warning: this is not remembered: ${knownError(error).message}`);
    }
  }
}
