import { type ListedEntry, listedEntryAsJson } from '../model/listed-entry.ts';
import type { Volume } from '../model/volume.ts';
import type { MigrationPlan, MigrationReport } from './migrate/migrations.ts';
import type { VolumeFailure, VolumeUsage } from './host-volumes.ts';

/** What is said of volumes, as JSON documents. */
export interface VolumesJson {
  /** With what it holds, where that was measured. */
  readonly volume: (volume: Volume, usage: VolumeUsage | VolumeFailure | undefined) => object;
  readonly usage: (usage: VolumeUsage | VolumeFailure) => object;
  readonly entry: (entry: ListedEntry) => object;
  readonly migrationPlan: (plan: MigrationPlan) => object;
  readonly migrationReport: (report: MigrationReport, plan: MigrationPlan) => object;
}

export const volumesJson: VolumesJson = {
  volume: volumeAsJson,
  usage: (usage) => ('error' in usage ? { name: usage.name, error: errorAsJson(usage) } : usage),
  entry: listedEntryAsJson,
  migrationPlan: migrationPlanAsJson,
  migrationReport: (report, plan) => ({ ...report, plan: migrationPlanAsJson(plan) }),
};

function volumeAsJson(volume: Volume, usage: VolumeUsage | VolumeFailure | undefined): object {
  if (usage === undefined) return volume;
  if ('error' in usage) return { ...volume, error: errorAsJson(usage) };
  return { ...volume, bytes: usage.bytes, files: usage.files };
}

function errorAsJson({ error: { code, message, detail } }: VolumeFailure): object {
  return { code, message, detail };
}

function migrationPlanAsJson({ refusal, backTo, size, freeBytes, ...plan }: MigrationPlan): object {
  return {
    ...plan,
    backTo: backTo ?? null,
    size: size ?? null,
    freeBytes: freeBytes ?? null,
    refusal: refusal === undefined ? null : { code: refusal.code, message: refusal.message },
  };
}
