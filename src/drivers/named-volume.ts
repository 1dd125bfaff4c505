import { AppError, isAppError } from '../model/errors.ts';

/** Puts in front of an error of something deeper what could not be done, and with which volume. */
export async function namedVolume<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isAppError(error)) throw error;
    const { code, message, detail, hint } = error;
    const lower = message.slice(0, 1).toLowerCase() + message.slice(1);
    throw new AppError(code, `${action}: ${lower}`, { detail, hint, cause: error });
  }
}
