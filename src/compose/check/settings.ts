import type { Finding } from '../../model/finding.ts';
import { commandOptions } from '../../model/foreign-options.ts';
import { quote } from '../../model/quote.ts';
import type { ComposeProject } from '../compose-project.ts';
import { readStorage, valueIn } from '../storage-settings.ts';
import { findingOf } from './rules.ts';

/** A value of `x-holdfast` that cannot be used, as its reader reports it. */
export interface SettingProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface SettingsFacts {
  readonly problems: readonly SettingProblem[];
  /** The names that `policy` of `x-holdfast` gives, with where. */
  readonly namedPolicies: readonly string[];
  /** Of the configuration; undefined when it cannot be read. */
  readonly knownPolicies: readonly string[] | undefined;
}

/** What is wrong with the `x-holdfast` of a project. Pure. */
export function findSettingTroubles(project: ComposeProject, settings: SettingsFacts): Finding[] {
  return [
    ...settings.problems.map(({ file, line, column, message }) =>
      findingOf('invalid-settings', {
        subject: { kind: 'stack', name: project.name },
        message,
        remedy: 'Mend the value; docs/guides/policies.md has all of them.',
        position: { file, line, column },
      }),
    ),
    ...unknownPolicies(project, settings),
    ...storageTroubles(project),
  ];
}

function unknownPolicies(
  project: ComposeProject,
  { namedPolicies, knownPolicies }: SettingsFacts,
): Finding[] {
  if (knownPolicies === undefined) return [];
  return [...new Set(namedPolicies)]
    .filter((name) => !knownPolicies.includes(name))
    .map((name) =>
      findingOf('unknown-policy', {
        subject: { kind: 'policy', name },
        message: `"x-holdfast" names the policy ${quote(name)}, which the configuration does not have`,
        remedy: 'Write the policy in holdfast.yaml, or name one that is there ("holdfast policy ls").',
        position: positionOfPolicy(project, name),
      }),
    );
}

function positionOfPolicy(project: ComposeProject, name: string): Finding['position'] {
  const paths = [
    [],
    ...[...project.services.keys()].map((key) => ['services', key]),
    ...[...project.volumes.keys()].map((key) => ['volumes', key]),
  ].map((path) => [...path, 'x-holdfast', 'policy']);
  const sections = paths.map((path) => ({ path, value: valueIn(project.raw, path) }));
  const found = sections.find(
    ({ value }) => value === name || (Array.isArray(value) && value.includes(name)),
  );
  return found === undefined ? undefined : project.positionOf(found.path);
}

/** `storage` is for volumes that Holdfast makes: external ones. */
function storageTroubles(project: ComposeProject): Finding[] {
  return [...project.volumes.values()].flatMap(({ key, name, external }): Finding[] => {
    const position = project.positionOf(['volumes', key, 'x-holdfast', 'storage']);
    const subject = { kind: 'volume', name } as const;
    const storage = readStorage(project, key);
    if (storage === undefined) return [];
    if ('problem' in storage)
      return [
        findingOf('invalid-settings', {
          subject,
          message: `"x-holdfast" of volume ${quote(key)}: ${storage.problem}`,
          remedy: 'Write it as a mapping: "storage: {type: luks, size: 10g}".',
          position,
        }),
      ];
    const commands = commandOptions(storage.options);
    if (commands.length > 0)
      return [
        findingOf('invalid-settings', {
          subject,
          message: `"x-holdfast" of volume ${quote(key)} has an option that runs a command: ${commands.map(quote).join(', ')}`,
          remedy: 'A Compose file may not have commands run: make this volume by "holdfast volume create".',
          position,
        }),
      ];
    if (external) return [];
    return [
      findingOf('unencrypted-volume', {
        subject,
        message: `The volume ${quote(key)} is to be made by Holdfast, and is not external`,
        remedy: 'Write "external: true" and a "name" for it, and let "holdfast compose prepare" make it.',
        commands: [['holdfast', 'compose', 'prepare']],
        position,
      }),
    ];
  });
}
