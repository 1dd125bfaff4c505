import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

export interface VolumeRmFlags {
  readonly force?: boolean;
  readonly loseUnsaved?: boolean;
  readonly permanent?: boolean;
}

export async function runVolumeRm(
  session: Session,
  flags: VolumeRmFlags,
  args: readonly string[],
): Promise<void> {
  const engine = await session.app.volumes.onHost();
  const { force, loseUnsaved: losesUnsaved, permanent } = flags;
  const report = await engine.remove(args, { signal: session.signal, force, losesUnsaved, permanent });
  session.printer.print({
    json: () => ({
      removed: report.removed,
      missing: report.missing,
      failures: report.failures.map(({ name, error }) => ({
        name,
        code: error.code,
        message: error.message,
      })),
    }),
    text: () => report.removed.join('\n'),
    quiet: () => report.removed,
  });
  failAll(
    session,
    report.failures.map((failure) => failure.error),
    report.removed.length,
  );
}
