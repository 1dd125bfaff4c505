import { readFile, rm, writeFile } from 'node:fs/promises';
import { errorInWords } from '../lib/known-error.ts';
import { isAppError } from '../model/errors.ts';

/** How long the first command retries what an engine refuses. */
const firstPatienceMs = 5_000;

/** Lies beside the journal that says what has to run. */
export interface StartRefusal {
  readonly file: string;
}

/**
 * Tries to start what has to run again. What an engine has refused to an earlier command is tried only once,
 * since otherwise each command would be held up. Records a refusal; an engine that does not answer has not
 * refused.
 */
export async function startOnce<T>(
  { file }: StartRefusal,
  start: (patienceMs: number) => Promise<T>,
): Promise<T> {
  const wasRefused = (await readFile(file, 'utf8').catch(() => undefined)) !== undefined;
  try {
    const started = await start(wasRefused ? 0 : firstPatienceMs);
    if (wasRefused) await rm(file, { force: true });
    return started;
  } catch (error) {
    if (!wasRefused) await noteRefusal({ file }, error);
    throw error;
  }
}

/**
 * For what was tried with patience already. If the note cannot be written, the next command only waits again.
 */
export async function noteRefusal({ file }: StartRefusal, error: unknown): Promise<void> {
  if (!isRefusal(error)) return;
  await writeFile(file, `${errorInWords(error)}\n`, { mode: 0o600 }).catch(() => undefined);
}

function isRefusal(error: unknown): boolean {
  const cause = isAppError(error) ? error.cause : undefined;
  return ![error, cause].some(
    (one) => isAppError(one, 'unavailable') || isAppError(one, 'cancelled') || isAppError(one, 'locked'),
  );
}
