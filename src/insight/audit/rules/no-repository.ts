import { quote } from '../../../model/quote.ts';
import { nowhere } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const noRepository: Rule = {
  id: 'HF-B004',
  name: 'no-repository',
  severity: 'loss',
  title: 'There is no repository that a backup could go to',
  meaning: 'Nothing is saved, whatever the policies say: what is lost on this machine is lost.',
  *check({ volumes, backups: { missing } }) {
    // Where a file is only checked, as in CI, its volumes are not on the engine.
    if (missing === undefined || !volumes.some(({ isOnHost }) => isOnHost)) return;
    yield {
      subject: { kind: 'host', name: missing.machine },
      // The machine may be renamed.
      key: 'host',
      message: `No repository is known on ${quote(missing.machine)}`,
      evidence: missing.reasons.map((reason) => `${reason}.`),
      remedy:
        'Make one on another disk or another machine; "holdfast setup" asks where, and proposes policies',
      commands: [['holdfast', 'setup']],
      place: nowhere,
    };
  },
};
