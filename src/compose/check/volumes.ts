import type { Finding } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import { isKnownByContainersAlone, type Volume } from '../../model/volume.ts';
import { volumeDifferences } from '../../model/volume-difference.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ComposeVolume } from '../compose-volume.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { mountsOf } from '../project-mounts.ts';
import { findingOf } from './rules.ts';

/** Labels by which Compose knows its volumes. */
const projectLabel = 'com.docker.compose.project';

/** Declared volumes against what the engine has; unused ones. Pure. */
export function findVolumeTroubles(project: ComposeProject, facts: ProjectFacts): Finding[] {
  const mounted = new Set(mountsOf(project).map(({ volume }) => volume?.key));
  const elsewhere = inactiveKeys(project);
  // A mount that is refused may be the one that uses it.
  const isRefused = project.problems.some(({ kind }) => kind === 'error');
  return [...project.volumes.values()].flatMap((volume): Finding[] => {
    if (!mounted.has(volume.key))
      return isRefused || elsewhere.has(volume.key) ? [] : [unused(project, volume)];
    if (facts.volumes === undefined) return [];
    const existing = facts.volumes.get(volume.name);
    if (volume.external) return existing === undefined ? [missingExternal(project, volume)] : [];
    // Of one whose plugin is gone, neither labels nor options are known.
    if (existing === undefined || isKnownByContainersAlone(existing)) return [];
    return againstExisting(project, volume, existing);
  });
}

/** Volumes of services that another profile starts are used. */
function inactiveKeys(project: ComposeProject): ReadonlySet<string> {
  return new Set(
    [...project.inactiveServices.values()].flatMap(({ mounts }) =>
      mounts.flatMap(({ mount }) => (mount.type === 'volume' ? [mount.source ?? ''] : [])),
    ),
  );
}

function unused(project: ComposeProject, { key, name }: ComposeVolume): Finding {
  return findingOf('unused-volume', {
    subject: { kind: 'volume', name },
    message: `No service mounts the volume ${quote(key)}`,
    remedy: 'Mount it, or take its declaration away.',
    position: project.positionOf(['volumes', key]),
  });
}

function missingExternal(project: ComposeProject, { key, name }: ComposeVolume): Finding {
  return findingOf('missing-external-volume', {
    subject: { kind: 'volume', name },
    message: `The external volume ${quote(name)} does not exist`,
    remedy: 'Make it, or take "external" away and let Compose make it.',
    commands: [['holdfast', 'compose', 'prepare']],
    position: project.positionOf(['volumes', key, 'external']),
  });
}

function againstExisting(project: ComposeProject, volume: ComposeVolume, existing: Volume): Finding[] {
  const subject = { kind: 'volume', name: volume.name } as const;
  const differences = differencesOf(volume, existing);
  const changed =
    differences.length === 0
      ? []
      : [
          findingOf('changed-volume', {
            subject,
            message: `The volume ${quote(volume.name)} exists, and is not what the file says`,
            evidence: differences,
            remedy:
              'Save it first ("holdfast backup"), remove it, let "up" make the new one, and restore into that; or write in the file what it is.',
            commands: [['holdfast', 'backup', volume.name]],
            position: project.positionOf(['volumes', volume.key]),
          }),
        ];
  const owner = existing.labels[projectLabel];
  if (owner === project.name) return changed;
  const whose = owner === undefined ? 'was not made by Compose' : `belongs to the project ${quote(owner)}`;
  return [
    ...changed,
    findingOf('foreign-volume', {
      subject,
      message: `The volume ${quote(volume.name)} exists, and ${whose}`,
      remedy: 'Say "external: true" if it is the one that is meant, or choose another "name".',
      position: project.positionOf(['volumes', volume.key]),
    }),
  ];
}

/** Compose compares driver, options and labels, and options that are no longer asked for too. */
function differencesOf({ name, driver, options, labels }: ComposeVolume, existing: Volume): string[] {
  const differences = volumeDifferences({ name, driver: driver ?? 'local', options, labels }, existing);
  if (Object.keys(options).length > 0) return differences;
  const left = Object.keys(existing.options);
  return [...differences, ...left.map((key) => `option ${quote(key)} is set, but was not asked for`)];
}
