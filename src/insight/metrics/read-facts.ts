import path from 'node:path';
import type {
  Catalog,
  DrillRecord,
  PolicyAnswer,
  RepositoryState,
  UsagePlace,
  VerifiedVolume,
} from '../../catalog/catalog.ts';
import { namesIn } from '../../lib/folder-names.ts';
import type { PolicyCursor, PolicyRunRecord } from '../../model/policy-run.ts';

/** What Holdfast remembers, as far as metrics tell it. */
export interface RememberedFacts {
  readonly readAtMs: number;
  readonly answers: readonly PolicyAnswer[];
  readonly cursors: readonly PolicyCursor[];
  /** Runs without an end. */
  readonly running: readonly PolicyRunRecord[];
  readonly verified: readonly VerifiedVolume[];
  readonly drills: readonly DrillRecord[];
  /** The last known sizes of the volumes and disks of the host that was looked at last. */
  readonly places: readonly UsagePlace[];
  /** What was last found out about repositories. */
  readonly repositoryStates: readonly RepositoryState[];
  /** Names of repositories by their ids. */
  readonly repositories: ReadonlyMap<string, string>;
  /** What restores, stills, hooks, drills and removals have not brought to their end, by kind. */
  readonly journals: readonly { readonly kind: string; readonly entries: number }[];
}

const journalFolders = {
  restore: 'journal',
  containers: 'journal-apps',
  hooks: 'journal-hooks',
  drill: 'trials',
  benchmark: 'journal-bench',
  trash: 'journal-trash',
  'trash-of-engine': 'journal-foreign',
} as const;

const mostRunning = 10_000;

/** Reads the catalog and the names in a few folders: no walk, no engine, no repository. */
export async function readFacts(
  catalog: Catalog,
  { stateDir, nowMs }: { readonly stateDir: string; readonly nowMs: number },
): Promise<RememberedFacts> {
  const journals = await Promise.all(
    Object.entries(journalFolders).map(async ([kind, folder]) => ({
      kind,
      entries: (await namesIn(path.join(stateDir, folder))).filter((name) => !name.endsWith('.lock')).length,
    })),
  );
  const [host] = catalog.usage.listHosts();
  return {
    readAtMs: nowMs,
    answers: catalog.policies.listAnswers(),
    cursors: catalog.policies.listCursors(),
    running: catalog.policies.listRuns({ open: true, limit: mostRunning }),
    verified: catalog.listVerifiedVolumes(),
    drills: catalog.usage.listDrills(),
    places: host === undefined ? [] : catalog.usage.listPlaces(host.identity),
    repositoryStates: catalog.listRepositoryStates(),
    repositories: new Map(
      catalog.listRepositories().map(({ repositoryId, name }) => [repositoryId, name] as const),
    ),
    journals,
  };
}
