import { type Finding, severities } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { mountsOf } from '../project-mounts.ts';
import { findEngineRefusals } from './engine-refusals.ts';
import { findOverlaps } from './overlaps.ts';
import { findRefusals } from './refusals.ts';
import { findingOf } from './rules.ts';
import { findSettingTroubles, type SettingsFacts } from './settings.ts';
import { findMissingDevices, findMissingSources } from './sources.ts';
import { findVolumeTroubles } from './volumes.ts';

/** All that is wrong with a project on this machine, the worst first, then in the order of the files. Pure. */
export function checkProject(
  project: ComposeProject,
  facts: ProjectFacts,
  settings: SettingsFacts,
): Finding[] {
  const findings = [
    ...findRefusals(project),
    ...findEngineRefusals(project),
    ...findOverlaps(project, facts),
    ...findIgnoredModes(project),
    ...findMissingDevices(project, facts),
    ...findMissingSources(project, facts),
    ...findVolumeTroubles(project, facts),
    ...findSettingTroubles(project, settings),
  ];
  return findings.toSorted(
    (a, b) =>
      severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
      project.files.indexOf(a.position?.file ?? '') - project.files.indexOf(b.position?.file ?? '') ||
      (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
      (a.position?.column ?? 0) - (b.position?.column ?? 0),
  );
}

const knownModes = new Set([
  ...['ro', 'rw', 'z', 'Z', 'nocopy', 'consistent', 'cached', 'delegated', 'default'],
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
]);

/** Words after the second colon of the short syntax that Compose drops. */
function findIgnoredModes(project: ComposeProject): Finding[] {
  return mountsOf(project).flatMap(({ service, from, raw, position }) => {
    if (from !== 'volumes' || typeof raw !== 'string') return [];
    // A drive of Windows has a colon too: its mounts are left alone.
    const [, , modes, ...more] = raw.split(':');
    if (modes === undefined || more.length > 0 || /^[A-Za-z]:/.test(raw)) return [];
    const unknown = modes.split(',').filter((mode) => !knownModes.has(mode));
    if (unknown.length === 0) return [];
    return [
      findingOf('ignored-mode', {
        subject: { kind: 'service', name: service.name },
        message: `Service ${quote(service.name)}: ${unknown.map(quote).join(', ')} in ${quote(raw)} means nothing to Compose`,
        remedy: 'Write "ro" for a mount that is only read.',
        position,
      }),
    ];
  });
}
