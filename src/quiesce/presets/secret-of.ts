import type { Container } from '../../hosts/containers.ts';
import { ownLabels } from '../container-labels.ts';
import { type ClientPlace, readContainerFile } from './run-client.ts';

type Environment = Readonly<Record<string, string>>;

/**
 * The value of the first of these variables that the container was started with, or the contents of the file
 * that `NAME_FILE` names, read inside the container. As images do, it strips line ends at the end of a file.
 */
export async function secretOf(
  place: ClientPlace & { readonly container: { readonly environment: Environment } },
  names: readonly string[],
): Promise<string | undefined> {
  const { environment } = place.container;
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined && value !== '') return value;
    const file = environment[`${name}_FILE`];
    if (file === undefined || file === '') continue;
    const content = await readContainerFile(place, file);
    if (content !== undefined) return content.replace(/[\r\n]+$/, '');
  }
  return undefined;
}

/** The login in the container's labels, which is tried first. */
export async function labelledLogin(
  place: ClientPlace & {
    readonly container: Pick<Container, 'environment' | 'labels' | 'imageLabels'>;
  },
): Promise<{ readonly user: string | undefined; readonly password: string | undefined }> {
  const labels = ownLabels(place.container);
  const variable = labels['holdfast.database.password-env'];
  const file = labels['holdfast.database.password-file'];
  const fromFile = file === undefined ? undefined : await readContainerFile(place, file);
  return {
    user: labels['holdfast.database.user'],
    password: variable === undefined ? fromFile?.replace(/[\r\n]+$/, '') : await secretOf(place, [variable]),
  };
}

/** For messages of a login that failed. */
export const loginHint =
  'Say how to log in with the labels "holdfast.database.user" and "holdfast.database.password-file" (a file in the container) or "holdfast.database.password-env".';
