import { claimOnMachine, holderWords } from '../lib/machine-claim.ts';
import type { ByteString } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

/**
 * Nobody else moves an engine's data into the trash or out of it meanwhile: the directory is another one after each of
 * these, so that a lock on it says nothing, and what is there at the end of the one is what the other removes. `locked`
 * when somebody does.
 */
export async function claimData(
  path: ByteString,
  { action, name }: { readonly action: string; readonly name: string },
): Promise<AsyncDisposable> {
  const claim = await claimOnMachine(`data ${path}`);
  if (!('heldBy' in claim)) return claim;
  const who = holderWords(claim.heldBy);
  throw new AppError('locked', `Cannot ${action} ${quote(name)}: ${who} moves its data`, {
    hint: 'Wait until it is done.',
  });
}
