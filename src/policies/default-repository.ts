import type { Catalog } from '../catalog/catalog.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';

/**
 * The name of the default repository: from the command line, `holdfast.yaml`, or the catalog; '' for none.
 */
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
