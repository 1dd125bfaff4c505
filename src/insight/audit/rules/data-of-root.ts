import { quote } from '../../../model/quote.ts';
import type { AuditedService } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const dataOfRoot: Rule = {
  id: 'HF-S005',
  name: 'data-of-root',
  severity: 'downtime',
  title: 'A service that does not run as root has data that belongs to root',
  meaning: 'The app cannot write: it fails, or says that it saved what it did not.',
  *check({ services }) {
    for (const service of services) {
      const { subject, key, mounts } = service;
      const uid = uidOf(service);
      if (uid === undefined || uid === 0) continue;
      for (const { volume, target, readOnly, place } of mounts) {
        if (volume?.content === undefined || readOnly) continue;
        const { root, containersRoot } = volume.content;
        if (![0, containersRoot.uid].includes(root.uid) || (root.mode & 0o002) !== 0) continue;
        // A group of its own may have the right.
        if (![0, containersRoot.gid].includes(root.gid) && (root.mode & 0o020) !== 0) continue;
        yield {
          subject,
          key: `${key} ${target}`,
          message: `${quote(subject.name)} runs as ${uid}, and ${quote(volume.name)} belongs to root`,
          evidence: [
            `The root of the volume belongs to ${root.uid}:${root.gid} and has the mode 0${(root.mode & 0o7777).toString(8)}.`,
          ],
          remedy: `Give it to ${uid}: "holdfast doctor --fix" shows what it would change, asks, and does it`,
          commands: [['holdfast', 'doctor', '--fix', volume.name]],
          place,
        };
      }
    }
  },
};

/** A number only: names are those of the image's own list of users. */
function uidOf({ user, facts }: AuditedService): number | undefined {
  const text = (user || facts.user).split(':')[0] ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
