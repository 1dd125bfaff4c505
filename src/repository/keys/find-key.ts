import { AppError } from '../../model/errors.ts';
import type { Store, StoreOptions } from '../stores/store.ts';
import { loadKeys, type OpenedKey, tryKeys } from './key-store.ts';

/** The key that the password opens. `wrong-password` when there is none, `integrity` when no key file is whole. */
export async function findKey(
  store: Store,
  password: () => Promise<Uint8Array>,
  options: StoreOptions = {},
): Promise<OpenedKey> {
  const keys = await loadKeys(store, options);
  if (keys.length === 0) {
    throw new AppError('integrity', `Repository "${store.location}" has no key files`, {
      hint: 'Restore the folder "keys" from a copy of the repository. Without a key nobody can read it.',
    });
  }
  const given = await password();
  const opened = await tryKeys(keys, given);
  if (opened) return opened;
  const damaged = keys.filter(({ file }) => !file).map(({ id }) => `"${id.slice(0, 8)}"`);
  if (damaged.length === keys.length) {
    throw new AppError('integrity', `Every key file of repository "${store.location}" is damaged`, {
      hint: 'Restore the folder "keys" from a copy of the repository.',
    });
  }
  throw new AppError('wrong-password', `The password does not open repository "${store.location}"`, {
    detail:
      damaged.length > 0
        ? `${damaged.length} of ${keys.length} key files are damaged: ${damaged.slice(0, 5).join(', ')}${damaged.length > 5 ? ' …' : ''}.`
        : undefined,
    hint: 'Look at --password-file, HOLDFAST_PASSWORD_FILE, HOLDFAST_PASSWORD_COMMAND and HOLDFAST_PASSWORD.',
  });
}
