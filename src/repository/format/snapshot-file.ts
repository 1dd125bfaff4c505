import type {
  ConfigRecord,
  Grade,
  GradeEvidence,
  Snapshot,
  SnapshotSummary,
  VolumeDescription,
} from '../../model/snapshot.ts';
import { AppError } from '../../model/errors.ts';
import { JsonFields } from './json-fields.ts';
import { type FileCodec, loadJson, saveJson } from './repository-file.ts';
import type { StoreOptions } from '../stores/store.ts';

/** A snapshot file, as restic writes it, with an extra field of ours that restic ignores. */
export interface SnapshotJson {
  readonly time: string;
  readonly parent?: string;
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname?: string;
  readonly username?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly excludes?: readonly string[];
  readonly tags?: readonly string[] | null;
  readonly original?: string;
  readonly program_version?: string;
  readonly summary?: SummaryJson;
  readonly holdfast?: HoldfastJson;
}

export interface SummaryJson {
  readonly backup_start: string;
  readonly backup_end: string;
  readonly files_new: number;
  readonly files_changed: number;
  readonly files_unmodified: number;
  readonly dirs_new?: number;
  readonly dirs_changed?: number;
  readonly dirs_unmodified?: number;
  readonly data_added: number;
  readonly data_added_packed: number;
  readonly total_files_processed: number;
  readonly total_bytes_processed: number;
}

/** What Holdfast records of a snapshot beyond restic's fields. */
export interface HoldfastJson {
  readonly format: 1;
  /** Where the volume's root is in the tree. */
  readonly dataPath: string;
  /** Undefined when the record was lost, so that the grade is unknown. */
  readonly grade?: Grade;
  readonly problemCount: number;
  readonly limits?: readonly string[];
  /** Dumps by the application's own client, stored beside the data. */
  readonly dumps?: readonly { readonly name: string; readonly size: number }[];
  /**
   * The small files that the volume's containers need: those in `NAME.config` beside the data, and those left
   * out.
   */
  readonly config?: ConfigRecord;
  /** The reasons for the grade. */
  readonly evidence?: GradeEvidence;
  /** The id shared by snapshots of one still moment. */
  readonly restorePoint?: string;
  /** Names of the restore point's volumes that could not be saved. */
  readonly missing?: readonly string[];
  readonly directories?: number;
  readonly others?: number;
  readonly volume: VolumeDescription;
}

export async function saveSnapshot(
  codec: FileCodec,
  json: SnapshotJson,
  options?: StoreOptions,
): Promise<string> {
  return await saveJson(codec, 'snapshots', json, options);
}

export async function loadSnapshot(
  codec: FileCodec,
  id: string,
  options?: StoreOptions,
): Promise<SnapshotJson> {
  const json = await loadJson<SnapshotJson>(codec, 'snapshots', id, options);
  const fields = new JsonFields(json, `Snapshot "${id.slice(0, 8)}"`);
  const isWhole =
    fields.id('tree') !== undefined &&
    fields.list('paths').every(isText) &&
    fields.list('tags').every(isText) &&
    !Number.isNaN(Date.parse(fields.text('time') ?? ''));
  if (!isWhole)
    throw new AppError('integrity', `Snapshot "${id.slice(0, 8)}" is damaged: a field is missing`);
  return { ...json, paths: json.paths ?? [] };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** The record as commands use it. */
export function snapshotOf(id: string, json: SnapshotJson): Snapshot {
  const own = isOurs(json.holdfast) ? json.holdfast : undefined;
  return {
    id,
    ...(isText(json.original) && { original: json.original }),
    time: json.time,
    tags: json.tags ?? [],
    hostname: json.hostname ?? '',
    name: own?.volume.name ?? json.paths[0] ?? '',
    paths: json.paths,
    parent: json.parent,
    grade: own?.grade,
    volume: own?.volume,
    summary: json.summary && summaryOf(json.summary, own),
    problemCount: own?.problemCount ?? 0,
    ...(Array.isArray(json.excludes) && { excludes: json.excludes }),
    ...(own?.dumps && { dumps: own.dumps }),
    ...(isConfigRecord(own?.config) && { config: own.config }),
    ...(own?.evidence && { evidence: own.evidence }),
    ...(isText(own?.restorePoint) && { restorePoint: own.restorePoint }),
    ...(Array.isArray(own?.missing) && { missing: own.missing.filter(isText) }),
    programVersion: json.program_version,
  };
}

function isConfigRecord(value: unknown): value is ConfigRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { saved, leftOut, writable = [] } = value as Partial<Record<keyof ConfigRecord, unknown>>;
  return areTexts(saved) && areTexts(writable) && Array.isArray(leftOut) && leftOut.every(isLeftOut);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isLeftOut(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { path, reason } = value as Partial<Record<keyof ConfigRecord['leftOut'][number], unknown>>;
  return isText(path) && isText(reason);
}

/** A record of an unknown format, or anything else, counts as missing. */
function isOurs(record: HoldfastJson | undefined): boolean {
  return record?.format === 1 && isText((record.volume as Partial<VolumeDescription> | undefined)?.name);
}

/** The record of a snapshot that lost it, from the description in its tree. */
export function describedAgain(dataPath: string, volume: VolumeDescription): HoldfastJson {
  return { format: 1, dataPath, problemCount: 0, volume };
}

function summaryOf(json: SummaryJson, own: HoldfastJson | undefined): SnapshotSummary {
  return {
    files: json.total_files_processed,
    directories:
      own?.directories ?? (json.dirs_new ?? 0) + (json.dirs_changed ?? 0) + (json.dirs_unmodified ?? 0),
    others: own?.others ?? 0,
    bytes: json.total_bytes_processed,
    filesNew: json.files_new,
    filesChanged: json.files_changed,
    filesUnmodified: json.files_unmodified,
    bytesAdded: json.data_added,
    bytesStored: json.data_added_packed,
    durationMs: Date.parse(json.backup_end) - Date.parse(json.backup_start),
  };
}
