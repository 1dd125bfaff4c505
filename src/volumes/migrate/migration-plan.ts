import type { MigrationTarget, NewStorage } from '../managed/managed-volumes.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { formatSize } from '../../model/size.ts';
import { unstoppableHint, type Unstoppable } from '../../quiesce/index.ts';
import { localTime } from '../../model/local-time.ts';

export interface MigrationRequest extends NewStorage {
  readonly name: string;
}

/** What a migration would do. */
export interface MigrationPlan {
  readonly name: string;
  readonly from: MigrationStorage;
  readonly to: MigrationStorage;
  /** `back`: to the storage that it had before, with its data of that time. */
  readonly way: 'forth' | 'back';
  /** Since when the data that would come back lies there, RFC 3339. */
  readonly backTo: string | undefined;
  /** What is copied; undefined where nothing is. */
  readonly size: MigrationSize | undefined;
  /** Free bytes at the destination; undefined where that is unknown beforehand. */
  readonly freeBytes: number | undefined;
  /** Names of containers and services, in stop order. */
  readonly stops: readonly string[];
  readonly notes: readonly string[];
  /** Why it is not possible as things are now. */
  readonly refusal: AppError | undefined;
}

export interface MigrationStorage {
  readonly driver: string;
  readonly kind: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface MigrationSize {
  readonly files: number;
  readonly bytes: number;
  /** Space used on disk, without holes. */
  readonly allocatedBytes: number;
}

/** The facts about a volume and its users. */
export interface MigrationFacts extends Pick<
  MigrationPlan,
  'name' | 'from' | 'way' | 'backTo' | 'size' | 'stops'
> {
  readonly to: MigrationStorage & Partial<Pick<MigrationTarget, 'disk' | 'sizeBytes'>>;
  readonly isProtected: boolean;
  /** Containers that use it and cannot be stopped and started again. */
  readonly unstoppable: readonly Unstoppable[];
  /** Ids that hold it mounted. */
  readonly holds: readonly string[];
  /** Processes of this machine that have its files open for writing: `vi (12)`. */
  readonly writers: readonly string[];
  /** Until when data that a restore replaced in it is kept, RFC 3339: the new storage would not have it. */
  readonly undoUntil: string | undefined;
}

/** Pure. */
export function decideMigration(facts: MigrationFacts): MigrationPlan {
  const { name, from, to, way, backTo, size, stops } = facts;
  const { driver, kind, options, disk } = to;
  const freeBytes = size && disk?.freeBytes;
  return {
    name,
    from,
    to: { driver, kind, options },
    way,
    backTo,
    size,
    freeBytes,
    stops,
    notes: notesOf(facts),
    refusal: refusalOf(facts),
  };
}

function notesOf({ isProtected, to, way }: MigrationFacts): string[] {
  const notes: string[] = [];
  if (isProtected) notes.push('It is protected, and stays so.');
  if (way === 'forth' && to.options['device']?.startsWith('/dev/') === true)
    notes.push(`If it is given up, ${quote(to.options['device'])} stays formatted.`);
  return notes;
}

function refusalOf(facts: MigrationFacts): AppError | undefined {
  return usedBy(facts) ?? wouldLoseUndo(facts) ?? tooSmall(facts);
}

function wouldLoseUndo({ name, undoUntil }: MigrationFacts): AppError | undefined {
  if (undoUntil === undefined) return undefined;
  const action = `Cannot migrate volume ${quote(name)}`;
  return new AppError('conflict', `${action}: what its last restore replaced is kept for an undo`, {
    detail: `It is kept until ${localTime(undoUntil)}, beside the data, and would stay behind.`,
    hint: `"holdfast undo ${name}" brings it back, "holdfast undo ${name} --drop" deletes it.`,
  });
}

function usedBy({ name, unstoppable, holds, writers, stops }: MigrationFacts): AppError | undefined {
  const action = `Cannot migrate volume ${quote(name)}`;
  if (unstoppable.length > 0) {
    const shown = unstoppable.map(({ name: container }) => quote(container)).join(', ');
    return new AppError('in-use', `${action}: ${shown} uses it, and cannot be stopped and started again`, {
      detail: unstoppable.map(({ name: container, why }) => `${quote(container)}: ${why}.`).join('\n'),
      hint: unstoppableHint(unstoppable, 'migrate'),
    });
  }
  const [hold] = holds.filter((id) => !isEngineHold(id));
  if (hold !== undefined) {
    const pid = /^process:(\d+):/.exec(hold)?.[1];
    const who = pid === undefined ? quote(hold) : `process ${pid}`;
    return new AppError('in-use', `${action}: ${who} uses it, and cannot be stopped and started again`, {
      hint: 'End it, and migrate again.',
    });
  }
  if (holds.length > 0 && stops.length === 0) {
    return new AppError('in-use', `${action}: an engine uses it whose containers are not seen here`, {
      hint: 'Name the engine with --host, or stop the containers by hand.',
    });
  }
  if (writers.length === 0) return undefined;
  return new AppError('in-use', `${action}: ${writers.join(', ')} has files in it open for writing`, {
    hint: 'End it, and migrate again.',
  });
}

function isEngineHold(id: string): boolean {
  return id.startsWith('docker:');
}

function tooSmall({ name, size, to }: MigrationFacts): AppError | undefined {
  if (size === undefined) return undefined;
  const needs = size.allocatedBytes;
  const action = `Cannot migrate volume ${quote(name)}`;
  if (to.sizeBytes !== undefined && to.sizeBytes < needs)
    return new AppError(
      'full',
      `${action}: it holds ${formatSize(needs)}, which do not fit into ${formatSize(to.sizeBytes)}`,
      { hint: 'Give it a larger size, and some room for the file system itself.' },
    );
  const free = to.disk?.freeBytes;
  if (free === undefined || free >= needs) return undefined;
  return new AppError(
    'full',
    `${action}: it takes ${formatSize(needs)} beside what is there, and ${formatSize(free)} are free`,
    { hint: 'Make room first: what was there before stays in the trash until it is emptied.' },
  );
}
