import type { Rule } from './rule.ts';
import { shadowedData } from './rules/shadowed-data.ts';
import { databaseInMemory } from './rules/database-in-memory.ts';
import { databaseWithoutName } from './rules/database-without-name.ts';
import { databaseOnNothing } from './rules/database-on-nothing.ts';
import { databaseOnSoftMount } from './rules/database-on-soft-mount.ts';
import { volumeOfTwoStacks } from './rules/volume-of-two-stacks.ts';
import { databaseShared } from './rules/database-shared.ts';
import { unprotectedPlace } from './rules/unprotected-place.ts';
import { backupBesideData } from './rules/backup-beside-data.ts';
import { backupTooOld } from './rules/backup-too-old.ts';
import { noRepository } from './rules/no-repository.ts';
import { dockerSocket } from './rules/docker-socket.ts';
import { systemFolderWritable } from './rules/system-folder-writable.ts';
import { writableConfiguration } from './rules/writable-configuration.ts';
import { worldWritableData } from './rules/world-writable-data.ts';
import { dataOfRoot } from './rules/data-of-root.ts';
import { secretInPlainText } from './rules/secret-in-plain-text.ts';
import { sharedPropagation } from './rules/shared-propagation.ts';
import { confinementOff } from './rules/confinement-off.ts';
import { privilegedContainer } from './rules/privileged-container.ts';
import { memoryWithoutSize } from './rules/memory-without-size.ts';
import { memoryMayExecute } from './rules/memory-may-execute.ts';
import { encryptionOnlyNamed } from './rules/encryption-only-named.ts';
import { secretFileReadable } from './rules/secret-file-readable.ts';
import { orphanVolume } from './rules/orphan-volume.ts';
import { anonymousVolume } from './rules/anonymous-volume.ts';
import { nfsWithoutVersion } from './rules/nfs-without-version.ts';
import { obsoleteVersion } from './rules/obsolete-version.ts';

/** Ids of rules that are gone, with the one that tells their fault now. No other rule takes such an id. */
export const retiredIds: Readonly<Record<string, string>> = { 'HF-H004': 'HF-C018' };

/** All rules. A rule that goes leaves its id behind. */
export const rules: readonly Rule[] = [
  shadowedData,
  databaseInMemory,
  databaseWithoutName,
  databaseOnNothing,
  databaseOnSoftMount,
  volumeOfTwoStacks,
  databaseShared,
  unprotectedPlace,
  backupBesideData,
  backupTooOld,
  noRepository,
  dockerSocket,
  systemFolderWritable,
  writableConfiguration,
  worldWritableData,
  dataOfRoot,
  secretInPlainText,
  sharedPropagation,
  confinementOff,
  privilegedContainer,
  memoryWithoutSize,
  memoryMayExecute,
  encryptionOnlyNamed,
  secretFileReadable,
  orphanVolume,
  anonymousVolume,
  nfsWithoutVersion,
  obsoleteVersion,
];
