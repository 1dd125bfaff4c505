import { start } from './0001-start.ts';
import { repositoryOptions } from './0002-repository-options.ts';
import { verifiedSnapshots } from './0003-verified-snapshots.ts';
import { policies } from './0004-policies.ts';
import { logAndNotices } from './0006-log-and-notices.ts';
import { managedVolumes } from './0007-managed-volumes.ts';
import { unsettledVolumes } from './0008-unsettled-volumes.ts';
import { lineages } from './0009-lineages.ts';

/** In order; the catalog's version is how many of them it has been through. Only ever appended to. */
export const migrations: readonly string[] = [
  start,
  repositoryOptions,
  verifiedSnapshots,
  policies,
  logAndNotices,
  managedVolumes,
  unsettledVolumes,
  lineages,
];
