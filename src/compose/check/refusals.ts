import type { Finding, FindingSubject } from '../../model/finding.ts';
import type { ComposePath, ComposeProblem, ComposeProject } from '../compose-project.ts';
import { type CheckRule, findingOf } from './rules.ts';

interface Kind {
  readonly rule: CheckRule;
  readonly says: RegExp;
  /** Where it means that; everywhere by default. */
  readonly at?: (path: ComposePath) => boolean;
  readonly remedy: string;
}

/** What Compose's own words mean, the narrow ones first. */
const kinds: readonly Kind[] = [
  {
    rule: 'undefined-volume',
    says: /refers to undefined volume/,
    remedy: 'Declare it in the "volumes" of the whole file, or begin it with "./" where a folder is meant.',
  },
  {
    rule: 'duplicate-target',
    says: /already mounted as|Duplicate mount point/,
    remedy: 'Keep one of the two, or give one of them another path.',
  },
  {
    rule: 'external-conflict',
    says: /conflicting parameters "external"/,
    remedy:
      'Leave "external" out where Compose is to make the volume, or the other fields where it is there.',
  },
  {
    rule: 'invalid-mount',
    says: /invalid (?:empty volume spec|spec:|mount|volume specification|propagation)|mount type unknown/,
    remedy: 'Write it as SOURCE:TARGET or SOURCE:TARGET:ro, or in the long syntax.',
  },
  {
    rule: 'unset-variable',
    says: /variable is not set/,
    at: ([section, , field]) => field === 'volumes' || (section === 'volumes' && field !== undefined),
    remedy: 'Set it in ".env" or the environment, or write ${NAME:?} so that "up" fails without it.',
  },
  {
    rule: 'obsolete-version',
    says: /`?version`? is obsolete/,
    remedy: 'Take the line away.',
  },
];

/** What Compose itself says of the project, with what it means. Pure. */
export function findRefusals(project: ComposeProject): Finding[] {
  return project.problems.map((problem) => {
    const kind = kinds.find(({ says, at }) => says.test(problem.message) && at?.(problem.path) !== false);
    return findingOf(kind?.rule ?? (problem.kind === 'error' ? 'refused' : 'compose-warning'), {
      subject: subjectOf(problem, project),
      message: problem.message,
      remedy: kind?.remedy ?? 'Mend what the message names.',
      position: problem.position,
    });
  });
}

function subjectOf({ path }: ComposeProblem, project: ComposeProject): FindingSubject {
  const [section, name] = path;
  if (section === 'services' && name !== undefined) return { kind: 'service', name: String(name) };
  if (section === 'volumes' && name !== undefined) return { kind: 'volume', name: String(name) };
  return { kind: 'stack', name: project.name };
}
