import { isAppError } from '../../model/errors.ts';

/** What cannot be finished now does not keep anybody from their work; it is tried again at the next start. */
export async function orLater(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isAppError(error)) throw error;
  }
}
