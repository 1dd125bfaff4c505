import type { Catalog } from '../catalog/catalog.ts';
import { openKnown, type OtherRepository, type RepositoryMaker } from '../repositories/index.ts';
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
  const open = async (asked: Partial<OtherRepository> & Pick<RepositoryAccess, 'purpose'>) => {
    const known = { catalog: await catalog(), configuration: await configuration() };
    const from = (access: RepositoryAccess): Promise<Repository> =>
      openRepository({ ...access, purpose: asked.purpose });
    return opened.use(await openKnown({ ...config, ...asked }, { ...known, open: from }));
  };
  const repository = once(async () => await open({ purpose }));
  return {
    async repository() {
      return await (expected ?? repository());
    },
    openOther: async (request) => await open(request),
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
