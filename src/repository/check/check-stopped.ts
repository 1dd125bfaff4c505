import { AppError } from '../../model/errors.ts';

export function throwIfStopped({ signal }: { readonly signal?: AbortSignal | undefined }): void {
  if (signal?.aborted) throw new AppError('cancelled', 'The check was stopped');
}
