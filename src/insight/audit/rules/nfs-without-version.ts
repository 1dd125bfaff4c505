import { quote } from '../../../model/quote.ts';
import { mountWords, networkOf } from '../mount-words.ts';
import type { Rule } from '../rule.ts';

export const nfsWithoutVersion: Rule = {
  id: 'HF-H003',
  name: 'nfs-without-version',
  severity: 'hygiene',
  title: 'An NFS volume names no version',
  meaning:
    'The kernel takes version 3 for type "nfs", whose locks need another service on both sides: where that does not run, databases and SQLite fail or lock nothing.',
  onRequest: true,
  *check({ volumes }) {
    for (const { name, driver, options, place } of volumes) {
      if (networkOf(driver, options) !== 'NFS' || options['type'] === 'nfs4') continue;
      const words = mountWords(options);
      if (words.some((word) => /^(?:nfs)?vers=/.test(word))) continue;
      const obsolete = words.filter((word) => word === 'intr' || word === 'nointr');
      yield {
        subject: { kind: 'volume', name },
        key: name,
        message: `The NFS volume ${quote(name)} names no version`,
        evidence: [
          'Its option "o" has no "vers=" or "nfsvers=".',
          ...obsolete.map((word) => `The kernel ignores ${quote(word)} since 2.6.25.`),
        ],
        remedy: 'Add "vers=4.2", or the newest that the server has',
        place,
      };
    }
  },
};
