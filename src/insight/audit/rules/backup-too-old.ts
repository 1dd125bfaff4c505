import { formatDuration } from '../../../model/duration.ts';
import { localTime } from '../../../model/local-time.ts';
import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';
import { placeOfVolume } from './unprotected-place.ts';

export const backupTooOld: Rule = {
  id: 'HF-B003',
  name: 'backup-too-old',
  severity: 'loss',
  title: 'The newest good snapshot is older than its policy allows',
  meaning: 'What was written since would be lost, and the policy that should have saved it does not.',
  *check(view) {
    for (const { kind, name, state, policies, newest, reason } of view.places) {
      if (state !== 'unprotected' || policies.length === 0) continue;
      yield {
        subject: { kind: kind === 'bind' || kind === 'path' ? 'path' : 'volume', name },
        key: name,
        message:
          newest === undefined
            ? `${quote(name)} has a policy, and no good snapshot yet`
            : `The newest good snapshot of ${quote(name)} is ${formatDuration(newest.ageMs)} old`,
        evidence: [
          `Policy: ${policies.map(quote).join(', ')}.`,
          ...(newest === undefined
            ? []
            : [`Snapshot ${newest.id.slice(0, 8)} is of ${localTime(newest.time)}.`]),
          `Coverage says: ${reason}.`,
        ],
        remedy:
          newest === undefined
            ? 'Run the policy now, and see that "holdfast daemon" runs'
            : 'Run the policy and see why it fails, and that "holdfast daemon" runs',
        commands: policies.map((policy) => ['holdfast', 'policy', 'run', policy]),
        place: placeOfVolume(view, name),
      };
    }
  },
};
