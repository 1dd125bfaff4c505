import type { Catalog } from '../catalog/catalog.ts';
import type { RepositoryMaker } from '../activity/index.ts';
import type { OtherRepository } from '../repositories/index.ts';
import type { Repository, RepositoryAccess } from '../repository/index.ts';
import type { LoadedConfiguration } from '../policies/index.ts';
import type { AppConfig } from './app-config.ts';
import { once } from './once.ts';

/** The repositories that the configuration and the catalog know. */
export interface KnownRepositories {
  repository(): Promise<Repository>;
  /** Another one than that of the configuration. */
  openOther(request: OtherRepository): Promise<Repository>;
  /** A restore is about to be planned: what takes its time is started at once. */
  expectRestore(): void;
  /** Waits for what `expectRestore` has started. */
  opened(): Promise<void>;
}

/** What opening needs besides what the command line says. */
export interface ConfiguredParts {
  readonly catalog: () => Promise<Catalog>;
  /** What `holdfast.yaml` says. */
  readonly configuration: () => Promise<LoadedConfiguration>;
}

/** What is opened is closed with `opened`. */
export function openKnownRepositories(
  config: AppConfig,
  opened: AsyncDisposableStack,
  { catalog, configuration }: ConfiguredParts,
): KnownRepositories {
  let purpose: 'restore' | undefined;
  let opening: Promise<unknown> | undefined;
  const repository = once(async () =>
    opened.use(await openKnown({ ...config, purpose }, { catalog: await catalog(), configuration })),
  );
  return {
    repository,
    openOther: async (request) =>
      opened.use(await openKnown({ ...config, ...request }, { catalog: await catalog(), configuration })),
    /** The repository's key is derived, and the workers start, while the rest of the code is loaded. */
    expectRestore() {
      purpose = 'restore';
      // Whoever needs the repository hears of a failure.
      opening = repository().catch(() => undefined);
    },
    async opened() {
      await opening;
    },
  };
}

export async function loadMaker(): Promise<RepositoryMaker> {
  const { hasRepository, initRepository, openRepository } = await import('../repository/index.ts');
  return { init: initRepository, open: openRepository, has: hasRepository };
}

async function openKnown(
  config: AppConfig & Pick<RepositoryAccess, 'purpose'>,
  { catalog, configuration }: { readonly catalog: Catalog } & Pick<ConfiguredParts, 'configuration'>,
): Promise<Repository> {
  const known = await import('../repositories/index.ts');
  const { openRepository } = await import('../repository/index.ts');
  const { purpose } = config;
  return await known.openKnown(config, {
    catalog,
    configuration: await configuration(),
    open: (access) => openRepository({ ...access, purpose }),
  });
}
