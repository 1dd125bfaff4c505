import type { Catalog } from '../catalog/catalog.ts';
import {
  openKnown as openKnownRepository,
  type OtherRepository,
  type RepositoryMaker,
} from '../repositories/index.ts';
import {
  hasRepository,
  initRepository,
  openRepository,
  type Repository,
  type RepositoryAccess,
} from '../repository/index.ts';
import type { LoadedConfiguration } from '../policies/index.ts';
import type { AppConfig } from './app-config.ts';
import { once } from './once.ts';

/** The repositories that the configuration and the catalog know. */
export interface KnownRepositories {
  readonly repository: () => Promise<Repository>;
  /** A repository other than the configured one. */
  readonly openOther: (request: OtherRepository) => Promise<Repository>;
  /** A restore is about to be planned: starts its slow steps. Dispose it when the plan is made. */
  expectRestore(): Disposable;
  /** Waits for what `expectRestore` has started. */
  opened(): Promise<void>;
}

/** What opening needs besides the command line's values. */
export interface ConfiguredScope {
  readonly catalog: () => Promise<Catalog>;
  readonly configuration: () => Promise<LoadedConfiguration>;
}

/** `opened` closes what this opens. */
export function openKnownRepositories(
  config: AppConfig,
  opened: AsyncDisposableStack,
  { catalog, configuration }: ConfiguredScope,
): KnownRepositories {
  let purpose: 'restore' | undefined;
  /** Started by `expectRestore`; the plan takes it, so that a failure is not repeated. */
  let expected: Promise<Repository> | undefined;
  let opening: Promise<unknown> | undefined;
  const repository = once(async () =>
    opened.use(await openKnown({ ...config, purpose }, { catalog: await catalog(), configuration })),
  );
  return {
    async repository() {
      return await (expected ?? repository());
    },
    openOther: async (request) =>
      opened.use(await openKnown({ ...config, ...request }, { catalog: await catalog(), configuration })),
    /** Derives the repository's key and starts the workers while the rest of the code is loaded. */
    expectRestore() {
      purpose = 'restore';
      expected = repository();
      // The plan reports a failure.
      opening = expected.catch(() => undefined);
      return { [Symbol.dispose]: () => (expected = undefined) };
    },
    async opened() {
      await opening;
    },
  };
}

export const repositoryMaker: RepositoryMaker = {
  init: initRepository,
  open: openRepository,
  has: hasRepository,
};

async function openKnown(
  config: AppConfig & Pick<RepositoryAccess, 'purpose'>,
  { catalog, configuration }: { readonly catalog: Catalog } & Pick<ConfiguredScope, 'configuration'>,
): Promise<Repository> {
  const { purpose } = config;
  return await openKnownRepository(config, {
    catalog,
    configuration: await configuration(),
    open: (access) => openRepository({ ...access, purpose }),
  });
}
