import { quote } from '../model/quote.ts';
import type { AnomalyRecord, ForgottenRecord } from '../model/policy-run.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { safetyTag, type ListedSnapshot } from '../snapshots/index.ts';

export interface GateView {
  readonly anomalies: readonly AnomalyRecord[];
  /** What was forgotten since the last prune. */
  readonly forgotten: readonly ForgottenRecord[];
  readonly snapshots: readonly (Snapshot & Pick<ListedSnapshot, 'isOwn' | 'timeDoubt'>)[];
  /** Ids of the snapshots that are known to be whole, read to the last byte. */
  readonly verified: ReadonlySet<string>;
}

export interface GateAnswer {
  /** Why it must not be pruned, whatever is verified. */
  readonly refusal: string | undefined;
  /** Ids of snapshots that have to be verified first. */
  readonly unproven: readonly string[];
}

/** Old data may go only when something newer is proven to be whole, and while nothing looks like damage; pure. */
export function openGate({ anomalies, forgotten, snapshots, verified }: GateView): GateAnswer {
  const [anomaly] = anomalies;
  if (anomaly !== undefined) {
    const more = anomalies.length > 1 ? `, and ${anomalies.length - 1} more` : '';
    const refusal = `${quote(anomaly.volumeName)} ${anomaly.message}${more}; see "holdfast policy accept"`;
    return { refusal, unproven: [] };
  }
  const unproven = forgotten.flatMap(({ volumeIdentity, newest }) => {
    const all = snapshots.filter(
      ({ volume, tags }) => volume?.identity === volumeIdentity && !tags.includes(safetyTag),
    );
    // While an engine does not answer, its snapshots are not known to be this machine's: they are there all the same.
    const own = all.some(({ isOwn }) => isOwn) ? all.filter(({ isOwn }) => isOwn) : all;
    // One that bears a wrong time proves nothing of what is older, unless there is nothing else.
    const certain = own.filter(({ timeDoubt }) => timeDoubt === undefined);
    const isProven =
      certain.length > 0
        ? certain.some(({ id, time }) => verified.has(id) && Date.parse(time) > Date.parse(newest))
        : own.some(({ id }) => verified.has(id));
    // Of a volume that has no snapshots at all any more somebody has removed them by hand.
    const last = (certain.length > 0 ? certain : own).toSorted(
      (a, b) => Date.parse(b.time) - Date.parse(a.time),
    )[0];
    return isProven || last === undefined ? [] : [last.id];
  });
  return { refusal: undefined, unproven };
}
