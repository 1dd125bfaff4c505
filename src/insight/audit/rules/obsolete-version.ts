import { quote } from '../../../model/quote.ts';
import type { Rule } from '../rule.ts';

/** The one fault of a file that is the audit's as well: "compose check" tells it under the same id, and all others alone. */
export const obsoleteVersion: Rule = {
  id: 'HF-C018',
  name: 'obsolete-version',
  severity: 'hygiene',
  title: 'A Compose file names the obsolete key "version"',
  meaning: 'Compose ignores it, and says so at each start.',
  onRequest: true,
  *check({ projects }) {
    for (const audited of projects) {
      const { project } = audited;
      const told = project.problems.find(({ path }) => path[0] === 'version');
      if (told === undefined) continue;
      const { path, position } = told;
      yield {
        subject: { kind: 'stack', name: project.name },
        key: project.name,
        message: `The Compose file of ${quote(project.name)} names a version`,
        evidence: [],
        remedy: 'Take the line away',
        place: { project: audited, path, position },
      };
    }
  },
};
