import type { Finding } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { mountsOf, nestedMounts, placeInside, type ProjectMount } from '../project-mounts.ts';
import { findingOf } from './rules.ts';

/** Mounts of one service at one path, or one inside another. Pure. */
export function findOverlaps(project: ComposeProject, facts: ProjectFacts): Finding[] {
  const mounts = mountsOf(project);
  return [...duplicates(mounts), ...nestedMounts(mounts).map((nested) => nestedFinding(nested, facts))];
}

function duplicates(mounts: readonly ProjectMount[]): Finding[] {
  const taken = new Map<string, ProjectMount>();
  return mounts.flatMap((mount) => {
    const { service, destination, position } = mount;
    const place = `${service.name}\0${destination}`;
    const first = taken.get(place);
    if (first === undefined) {
      taken.set(place, mount);
      return [];
    }
    return [
      findingOf('duplicate-target', {
        subject: { kind: 'service', name: service.name },
        message: `Service ${quote(service.name)} mounts two things at ${quote(destination)}: ${described(first)}, and ${described(mount)}`,
        remedy: 'Keep one of the two, or give one of them another path.',
        position,
      }),
    ];
  });
}

function nestedFinding(
  nested: { readonly inner: ProjectMount; readonly outer: ProjectMount },
  facts: ProjectFacts,
): Finding {
  const { inner, outer } = nested;
  const { service, destination, position } = inner;
  const details = {
    subject: { kind: 'service', name: service.name } as const,
    message: `Service ${quote(service.name)} mounts ${described(inner)} at ${quote(destination)}, inside of ${described(outer)} at ${quote(outer.destination)}`,
    position,
  };
  const place = placeInside(nested);
  const fact = place === undefined ? undefined : facts.paths.get(place);
  // What a volume holds is not known before it is mounted.
  const isPlaceMissing = place === undefined ? true : fact?.kind === 'missing';
  if (outer.mount.readOnly && isPlaceMissing)
    return findingOf('mount-in-read-only', {
      ...details,
      remedy:
        place === undefined
          ? `See that the outer one has ${quote(destination.slice(outer.destination.length + 1))}, or mount the inner one elsewhere.`
          : `Make ${quote(place)} on this machine, or mount the inner one elsewhere.`,
    });
  return findingOf('mount-over-mount', {
    ...details,
    remedy:
      'There is nothing to do where that is meant, as for a folder of dependencies inside of a source folder.',
  });
}

function described({ mount, volume, from }: ProjectMount): string {
  if (from === 'configs' || from === 'secrets') return `a ${from.slice(0, -1)}`;
  if (mount.type === 'tmpfs') return 'memory';
  if (mount.type === 'volume')
    return mount.source === undefined
      ? 'an anonymous volume'
      : `the volume ${quote(volume?.key ?? mount.source)}`;
  return quote(mount.source);
}
