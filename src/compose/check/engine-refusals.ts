import { AppError } from '../../model/errors.ts';
import type { Finding } from '../../model/finding.ts';
import { checkMount } from '../../model/mount.ts';
import { quote } from '../../model/quote.ts';
import { checkVolumeName } from '../../model/volume-name.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ComposeVolume } from '../compose-volume.ts';
import { mountsOf } from '../project-mounts.ts';
import { findingOf } from './rules.ts';

/** What Compose takes and the engine refuses when the container or volume is to be made. Pure. */
export function findEngineRefusals(project: ComposeProject): Finding[] {
  return [...findImages(project), ...findMounts(project), ...findVolumes(project)];
}

const part = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
/** A name as the engine's own grammar has it: `[HOST[:PORT]/]PART[/PART…][:TAG][@DIGEST]`. */
const imageName = new RegExp(
  `^(?:(?:[A-Za-z0-9]+(?:(?:\\.|-+)[A-Za-z0-9]+)*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?/)?${part}(?:/${part})*(?::\\w[\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,})?$`,
);

function findImages(project: ComposeProject): Finding[] {
  return [...project.services.values()].flatMap(({ name, image, path }) => {
    // Where filling in has failed, that is the finding.
    if (image === undefined || image === '' || image.includes('${') || imageName.test(image)) return [];
    return [
      findingOf('refused-image', {
        subject: { kind: 'service', name },
        message: `Service ${quote(name)}: ${quote(image)} is no name of an image`,
        remedy: /^\/|:$|[^:]\/\//.test(image)
          ? 'A part of it is empty: give the variable that stands there a value.'
          : 'Write it as HOST/NAME:TAG, the name in small letters.',
        position: project.positionOf([...path, 'image']),
      }),
    ];
  });
}

function findMounts(project: ComposeProject): Finding[] {
  return mountsOf(project).flatMap(({ service, mount, raw, position }) => {
    // What another service shares is refused there.
    if (raw === undefined) return [];
    // Compose lets it through, and no path can have one.
    const hasNul = Object.values(typeof raw === 'object' && raw !== null ? raw : [raw]).some(
      (value) => typeof value === 'string' && value.includes('\0'),
    );
    const reason = hasNul ? 'a path cannot hold a NUL' : refusalOf(() => checkMount(mount));
    if (reason === undefined) return [];
    return [
      findingOf('invalid-mount', {
        subject: { kind: 'service', name: service.name },
        message: `Service ${quote(service.name)}: ${reason}`,
        // Compose makes of `m:/data` a path in the container, and no volume.
        remedy:
          typeof raw === 'string' && /^[A-Za-z]:[/\\]/.test(raw)
            ? `Give the volume a name of two characters or more: Compose takes ${quote(raw.slice(0, 2))} for a drive of Windows.`
            : 'Mend what the engine names.',
        position,
      }),
    ];
  });
}

function findVolumes(project: ComposeProject): Finding[] {
  const mounted = new Set(mountsOf(project).map(({ volume }) => volume?.key));
  return [...project.volumes.values()].flatMap((volume) => {
    const { key, name, external } = volume;
    if (external || !mounted.has(key) || (volume.driver ?? 'local') !== 'local') return [];
    const reason = refusalOf(() => checkVolumeName(name)) ?? optionsReason(volume);
    if (reason === undefined) return [];
    return [
      findingOf('refused-volume', {
        subject: { kind: 'volume', name },
        message: `Volume ${quote(key)}: ${reason}`,
        remedy: 'Mend what the engine names.',
        position: project.positionOf(['volumes', key]),
      }),
    ];
  });
}

const localOptions = new Set(['type', 'device', 'o', 'size']);

/** Why the engine's local driver refuses options, in its words. */
function optionsReason({ options }: ComposeVolume): string | undefined {
  const unknown = Object.keys(options).find((key) => !localOptions.has(key));
  if (unknown !== undefined) return `invalid option: ${quote(unknown)}`;
  const isGiven = (key: string): boolean => Object.hasOwn(options, key) && options[key] !== '';
  if (isGiven('type') && !isGiven('device')) return 'missing required option: "device"';
  if (isGiven('device') && !isGiven('type')) return 'missing required option: "type"';
  if (isGiven('o') && !isGiven('device')) return 'missing required option: "device"';
  return undefined;
}

function refusalOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}
