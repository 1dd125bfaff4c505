import { quote } from '../../../model/quote.ts';
import { nowhere } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const backupBesideData: Rule = {
  id: 'HF-B002',
  name: 'backup-beside-data',
  severity: 'loss',
  title: 'Backups are on the disk that holds the data',
  meaning: 'When the disk fails, the data and its backups are gone together.',
  *check(view) {
    const { repositories, deviceOf } = view.backups;
    for (const repository of repositories) {
      const beside = [...deviceOf].filter(([, device]) => device === repository.device).map(([name]) => name);
      const [first] = beside;
      // A second repository elsewhere is what makes a copy on the same disk harmless.
      if (first === undefined || repositories.some(({ device }) => device !== repository.device)) continue;
      yield {
        subject: { kind: 'repository', name: repository.name },
        key: repository.path,
        message: `The repository ${quote(repository.name)} is on the disk of ${beside.length === 1 ? `the volume ${quote(first)}` : `${beside.length} volumes`}`,
        evidence: [
          `${quote(repository.path)} is on the same file system as ${beside.slice(0, 5).map(quote).join(', ')}${beside.length > 5 ? ', …' : ''}.`,
        ],
        remedy: 'Add a repository on another disk or another machine, and let the policy save to both',
        commands: [['holdfast', 'repo', 'add', '--help']],
        place: nowhere,
      };
    }
  },
};
