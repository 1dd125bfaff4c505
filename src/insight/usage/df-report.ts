import { AppError } from '../../model/errors.ts';
import { didYouMean, nearNames } from '../../model/near-names.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { LastSizes, SizedVolume } from './last-sizes.ts';

/** The sizes of the volumes that were asked for. */
export interface SizesReport extends Omit<LastSizes, 'host'> {
  /** The largest first. */
  readonly volumes: readonly SizedVolume[];
  readonly total: {
    readonly volumes: number;
    readonly bytes: number;
    readonly files: number;
    /** How many have no size. */
    readonly unknown: number;
  };
}

/**
 * The answer from the catalog alone. Undefined unless a daemon keeps the sizes and they hold all names: then
 * the host has to be asked which volumes there are. Pure.
 */
export function currentSizes(
  known: LastSizes | undefined,
  names: readonly string[],
): SizesReport | undefined {
  if (known?.isCurrent !== true) return undefined;
  const there = new Set(known.volumes.map(({ name }) => name));
  return names.every((name) => there.has(name)) ? reportSizes(known, undefined, names) : undefined;
}

/**
 * Joins what is known with the volumes that there are now, or takes it for all of them where the host does
 * not answer. `not-found` for a name that no volume has. Pure.
 */
export function reportSizes(
  known: LastSizes | undefined,
  listed: readonly Volume[] | undefined,
  names: readonly string[],
): SizesReport {
  const sized = new Map((known?.volumes ?? []).map((volume) => [volume.name, volume]));
  const all =
    listed === undefined ? [...sized.values()] : listed.map((one) => sized.get(one.name) ?? unknown(one));
  const there = new Set(all.map(({ name }) => name));
  const missing = names.find((name) => !there.has(name));
  if (missing !== undefined)
    throw new AppError('not-found', `There is no volume ${quote(missing)}`, {
      hint: didYouMean(nearNames(missing, [...there])) ?? 'See "holdfast volume ls".',
    });
  const wanted = new Set(names);
  const volumes = all
    .filter(({ name }) => wanted.size === 0 || wanted.has(name))
    .toSorted((a, b) => (b.bytes ?? -1) - (a.bytes ?? -1) || (a.name < b.name ? -1 : 1));
  const used = new Set(volumes.map(({ disk }) => disk));
  return {
    lookedAt: known?.lookedAt,
    isCurrent: known?.isCurrent ?? false,
    volumes,
    disks: (known?.disks ?? []).filter(({ path }) => used.has(path)),
    total: {
      volumes: volumes.length,
      bytes: volumes.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
      files: volumes.reduce((sum, { files = 0 }) => sum + files, 0),
      unknown: volumes.filter(({ bytes }) => bytes === undefined).length,
    },
  };
}

function unknown({ name, driver, stack, anonymous }: Volume): SizedVolume {
  const nothing = undefined;
  return {
    ...{ name, driver, stack, anonymous, bytes: nothing, files: nothing, way: nothing, problem: nothing },
    ...{ disk: nothing, growthBytesPerDay: nothing, measuredAt: nothing, isCurrent: false, share: nothing },
    ...{ fullAt: nothing, newestSnapshot: nothing, newestDrill: nothing },
  };
}
