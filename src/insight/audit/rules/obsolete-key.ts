import { quote } from '../../../model/quote.ts';
import type { ComposePath, ComposeProject } from '../../../compose/index.ts';
import type { Rule } from '../rule.ts';

export const obsoleteKey: Rule = {
  id: 'HF-H004',
  name: 'obsolete-key',
  severity: 'hygiene',
  title: 'A Compose file has keys that are obsolete or that Compose does not know',
  meaning: 'What the key should do does not happen, or will not with the next version of Compose.',
  onRequest: true,
  *check({ projects }) {
    for (const audited of projects) {
      const { project } = audited;
      for (const { message, path } of problemsOf(project)) {
        const where = path.join('.');
        yield {
          subject: { kind: 'stack', name: project.name },
          key: `${project.name} ${where} ${message}`,
          message: `Compose says of ${quote(where === '' ? project.name : where)}: ${message}`,
          evidence: [],
          remedy: 'Take the key away, or write it as Compose knows it',
          commands: [['docker', 'compose', 'config', '--quiet']],
          place: { project: audited, path, position: project.positionOf(path) },
        };
      }
    }
  },
};

interface Told {
  readonly message: string;
  readonly path: ComposePath;
}

function problemsOf({ raw, problems }: ComposeProject): Told[] {
  const told = problems.map(({ message, path }) => ({ message, path }));
  const isTold = told.some(({ path }) => path[0] === 'version');
  if (!Object.hasOwn(raw, 'version') || isTold) return told;
  return [...told, { message: 'the attribute "version" is obsolete, it will be ignored', path: ['version'] }];
}
