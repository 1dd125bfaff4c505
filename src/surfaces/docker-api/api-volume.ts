import type { ManagedVolume, VolumeHealth } from '../../app/app.ts';

/** A volume in the Engine API, with its fields in the engine's order. */
export interface ApiVolume {
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Scope: string;
  readonly Status?: Readonly<Record<string, unknown>>;
  readonly UsageData?: { readonly RefCount: number; readonly Size: number };
}

export function toApiVolume(volume: ManagedVolume): ApiVolume {
  return {
    CreatedAt: wholeSeconds(volume.createdAt),
    Driver: volume.driver,
    Labels: orNull(volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: orNull(volume.options),
    Scope: volume.scope,
  };
}

/** As `inspect` shows it: adds `Status`, unless it is a plain volume as the engine's own driver has them. */
export function toInspectedVolume(volume: ManagedVolume, { status, message }: VolumeHealth): ApiVolume {
  const isPlain = volume.kind === 'local' && Object.keys(volume.options).length === 0;
  if (isPlain && !volume.isProtected) return toApiVolume(volume);
  return {
    ...toApiVolume(volume),
    Status: {
      kind: volume.kind,
      mounted: volume.isMounted,
      ...(volume.isProtected && { protected: true }),
      health: status,
      ...(message !== undefined && { message }),
    },
  };
}

function wholeSeconds(time: string | undefined): string {
  // Holdfast's own format: parsing each time is too slow for a list of thousands.
  if (time !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(time))
    return `${time.slice(0, 19)}Z`;
  const ms = Date.parse(time ?? '');
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function orNull(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(record).length === 0 ? null : record;
}
