import type { Catalog } from '../catalog/catalog.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';

/** What a repository that is not named goes by: the one of the command line, of `holdfast.yaml`, or the catalog's; '' for none. */
export function defaultRepositoryOf(
  catalog: Pick<Catalog, 'listRepositories'>,
  {
    given,
    configuration,
  }: { readonly given: string | undefined; readonly configuration: Pick<LoadedConfiguration, 'repository'> },
): string {
  const wanted = given ?? configuration.repository;
  const records = catalog.listRepositories();
  const record =
    wanted === undefined
      ? records.find(({ isDefault }) => isDefault)
      : records.find(({ name, location }) => name === wanted || location === wanted);
  return record?.name ?? wanted ?? '';
}
