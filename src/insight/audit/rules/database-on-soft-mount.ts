import { quote } from '../../../model/quote.ts';
import { whereLies } from '../data-mounts.ts';
import { mountWords, networkOf } from '../mount-words.ts';
import { databases } from '../servers.ts';
import type { Rule } from '../rule.ts';

export const databaseOnSoftMount: Rule = {
  id: 'HF-V005',
  name: 'database-on-soft-mount',
  severity: 'loss',
  title: 'A database is on network storage that may give up',
  meaning:
    'Where a server does not answer, "soft" tells the database that a write failed after it was promised, and databases do not survive that; CIFS has no locks and no order of writes that one may trust.',
  *check({ services }) {
    for (const { service, server, path } of databases(services)) {
      const lies = whereLies(service, path);
      const volume = lies.on === 'mount' ? lies.mount.volume : undefined;
      const network = volume && networkOf(volume.driver, volume.options);
      if (volume === undefined || network === undefined) continue;
      const words = mountWords(volume.options);
      const isHard = words.includes('hard') && !words.includes('soft');
      if (network === 'NFS' && isHard) continue;
      const { subject, key } = service;
      yield {
        subject,
        key: `${key} ${path}`,
        message: `${server.label} in ${quote(subject.name)} keeps its data on ${network} volume ${quote(volume.name)}${network === 'NFS' ? ' without "hard"' : ''}`,
        evidence: [
          words.includes('soft')
            ? 'Its options say "soft".'
            : `Its options are ${quote(withoutSecrets(words).join(','))}.`,
        ],
        remedy:
          network === 'NFS'
            ? 'Keep the data on a local disk, or add "hard" and a version to the options of the volume'
            : 'Keep the data on a local disk',
        place: volume.place,
      };
    }
  },
};

function withoutSecrets(words: readonly string[]): string[] {
  return words.map((word) =>
    /^(?:password|pass|username|user|credentials)=/i.test(word) ? `${word.split('=')[0]}=…` : word,
  );
}
