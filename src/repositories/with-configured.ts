import path from 'node:path';
import type { RepositoryRecord } from '../catalog/catalog.ts';
import { repositoryLocation } from './find-repository.ts';

export interface ConfiguredRepository {
  readonly location: string;
  readonly passwordReference: string | undefined;
  readonly options: Readonly<Record<string, string>> | undefined;
}

/** What `holdfast.yaml` says of repositories. */
export interface RepositoriesSaid {
  /** The default repository, by name or location. */
  readonly repository: string | undefined;
  readonly repositories: ReadonlyMap<string, ConfiguredRepository>;
}

/**
 * The catalog's repositories, as `holdfast.yaml` describes them, and those that only it describes: their id
 * is empty until they are first opened. Pure.
 */
export function withConfigured(
  records: readonly RepositoryRecord[],
  configuration: RepositoriesSaid | undefined,
  stateDir: string,
): RepositoryRecord[] {
  const said = [...(configuration?.repositories ?? [])].map(
    ([name, { location: written, passwordReference, options }]): RepositoryRecord => {
      const location = repositoryLocation(written);
      const known = records.find((record) => record.name === name);
      const isSame = known?.location === location;
      return {
        name,
        location,
        repositoryId: isSame ? known.repositoryId : '',
        passwordReference:
          passwordReference ??
          known?.passwordReference ??
          `file:${path.join(stateDir, 'keys', `${name}.key`)}`,
        isDefault: known?.isDefault ?? false,
        options: options ?? known?.options,
      };
    },
  );
  return [...records.filter(({ name }) => !said.some((one) => one.name === name)), ...said];
}
