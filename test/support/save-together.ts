import type { Grade, GradeEvidence, InFlight } from '../../src/model/snapshot.ts';
import type { Repository, SavedTree, SaveOptions, SaveResult } from '../../src/repository/index.ts';

/** Like `SaveOptions`; `grade` is called when everything is read. */
export interface GradedSave extends Omit<SaveOptions, 'grade'> {
  readonly grade: Grade | ((shown: SavedTree) => Promise<Grade>);
  readonly evidence?: (seen: InFlight | undefined) => GradeEvidence | undefined;
}

/** How a test keeps its data still. */
export interface StillTime {
  readonly liveFirst: boolean;
  readonly clones: boolean;
  begin(prepare: () => Promise<void>): Promise<number>;
  end(): Promise<void>;
  readonly maxStillMs?: number;
  readonly tries?: number;
  cutAtMs?(): number | undefined;
}

/** Saves trees in one session, as a backup does. */
export async function saveTogether(
  repository: Repository,
  saves: readonly GradedSave[],
  still: StillTime,
): Promise<SaveResult[]> {
  const { signal, dryRun } = saves[0] ?? {};
  await using session = await repository.beginSave(saves, { clones: still.clones, signal, dryRun });
  for (let left = still.liveFirst ? (still.tries ?? 1) : 1; left > 0; left--) {
    if (still.liveFirst) await session.livePass(still.maxStillMs);
    try {
      const timeMs = await still.begin(() => session.prepareFinalPass());
      const cutAtMs = still.cutAtMs?.bind(still);
      const { late } = await session.finalPass({ timeMs, cutAtMs, mayRepeat: left > 1 });
      if (late === 0) left = 0;
    } finally {
      await still.end();
    }
  }
  const graded: { grade: Grade; evidence: GradeEvidence | undefined }[] = [];
  for (const [i, shown] of (await session.storeData()).entries()) {
    const { grade = 'torn', evidence } = saves[i] ?? {};
    graded.push({
      grade: typeof grade === 'string' ? grade : await grade(shown),
      evidence: evidence?.(shown.inFlight),
    });
  }
  return await session.finish(graded);
}
