import {
  flagOf,
  labelsOf,
  refuseUnknown,
  type Section,
  sectionAt,
  sectionOf,
  textOf,
  valueOf,
} from './compose-fields.ts';
import { AppError } from '../model/errors.ts';
import type { Mount } from '../model/mount.ts';
import { quote } from '../model/quote.ts';

/** One entry of a Compose file's top-level `volumes`. */
export interface ComposeVolume {
  /** The name that services use. */
  readonly key: string;
  /** The name at the engine. */
  readonly name: string;
  /** Not made by Compose. */
  readonly external: boolean;
  readonly driver: string | undefined;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Reads the entry `key` as a YAML or JSON parser returns it; an empty one (`pg:`) is null. */
export function parseComposeVolume(key: string, value: unknown, project: string): ComposeVolume {
  const entry = sectionOf(value ?? {}, `volumes.${key}`);
  refuseUnknown(entry, ['name', 'driver', 'driver_opts', 'external', 'labels']);
  const external = readExternal(entry);
  if (external.is) refuseConflicts(key, entry);
  return {
    key,
    name: textOf(entry, 'name') ?? external.name ?? (external.is ? key : `${project}_${key}`),
    external: external.is,
    driver: textOf(entry, 'driver'),
    // Options are strings or numbers, and labels may be either too.
    options: labelsOf(valueOf(entry, 'driver_opts')),
    labels: labelsOf(valueOf(entry, 'labels')),
  };
}

/**
 * Throws `usage`, with Compose's message, for a volume that the file does not declare and for two mounts at
 * one path.
 */
export function checkComposeService(
  service: string,
  mounts: readonly Mount[],
  declared: ReadonlySet<string>,
): void {
  const places = new Map<string, string>();
  for (const [index, mount] of mounts.entries()) {
    if (mount.type === 'volume' && mount.source !== undefined && !declared.has(mount.source)) {
      throw new AppError(
        'usage',
        `service ${quote(service)} refers to undefined volume ${mount.source}: invalid compose project`,
        { hint: `Add ${quote(mount.source)} to the "volumes" of the whole file.` },
      );
    }
    const place = `services.${service}.volumes[${index}]`;
    const taken = places.get(mount.target);
    if (taken !== undefined) {
      throw new AppError('usage', `${place}: target ${mount.target} already mounted as ${taken}`);
    }
    places.set(mount.target, place);
  }
}

function readExternal(entry: Section): { is: boolean; name?: string | undefined } {
  const external = valueOf(entry, 'external');
  if (external === null || typeof external !== 'object') return { is: flagOf(entry, 'external') ?? false };
  // Compose's old form holds the name: `external: {name: pg}`.
  return { is: true, name: textOf(sectionAt(entry, 'external'), 'name') };
}

function refuseConflicts(key: string, entry: Section): void {
  const conflict = ['driver', 'driver_opts', 'labels'].find((field) => valueOf(entry, field) !== undefined);
  if (conflict === undefined) return;
  throw new AppError(
    'usage',
    `volumes.${key}: conflicting parameters "external" and ${quote(conflict)} specified`,
  );
}
