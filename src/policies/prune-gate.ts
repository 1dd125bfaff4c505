import { quote } from '../model/quote.ts';
import type { AnomalyRecord, ForgottenRecord } from '../model/policy-run.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { safetyTag, type ListedSnapshot } from '../snapshots/index.ts';

export interface GateView {
  readonly anomalies: readonly AnomalyRecord[];
  /** What was forgotten since the last prune. */
  readonly forgotten: readonly ForgottenRecord[];
  readonly snapshots: readonly (Snapshot & Pick<ListedSnapshot, 'isOwn' | 'timeDoubt'>)[];
  /** Ids of snapshots that were read to the last byte and found whole. */
  readonly verified: ReadonlySet<string>;
}

export interface GateAnswer {
  /** Why pruning is refused, whatever is verified. */
  readonly refusal: string | undefined;
  /** Ids of snapshots to verify first. */
  readonly unproven: readonly string[];
}

/** Allows a prune only when newer data is proven whole, and there is no anomaly; pure. */
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
    // While an engine does not answer, its snapshots do not count as this machine's, but they still count
    // here.
    const own = all.some(({ isOwn }) => isOwn) ? all.filter(({ isOwn }) => isOwn) : all;
    // A snapshot with a doubtful time proves nothing about older ones, unless there is no other.
    const certain = own.filter(({ timeDoubt }) => timeDoubt === undefined);
    const isProven =
      certain.length > 0
        ? certain.some(({ id, time }) => verified.has(id) && Date.parse(time) > Date.parse(newest))
        : own.some(({ id }) => verified.has(id));
    // Without a single snapshot, the volume's snapshots were removed by hand.
    const last = (certain.length > 0 ? certain : own).toSorted(
      (a, b) => Date.parse(b.time) - Date.parse(a.time),
    )[0];
    return isProven || last === undefined ? [] : [last.id];
  });
  return { refusal: undefined, unproven };
}
