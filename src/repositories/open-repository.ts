import type { Catalog, RepositoryRecord } from '../catalog/catalog.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Repository, RepositoryAccess } from '../repository/index.ts';
import { type RepositoriesSaid, withConfigured } from './with-configured.ts';
import { type RepositoryRequest, findRepository } from './find-repository.ts';
import { noRepository } from './no-repository.ts';
import { refuseForeignProgram, repositoryAccess } from './repository-place.ts';

interface KnownHere {
  readonly catalog: Catalog;
  /** Repositories that `holdfast.yaml` describes, and its default. */
  readonly configuration?: RepositoriesSaid | undefined;
  readonly open: (access: RepositoryAccess) => Promise<Repository>;
}

/** Opens the requested repository, and makes sure that it is still the one in the catalog. */
export async function openKnown(
  request: RepositoryRequest & {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly stateDir: string;
    readonly signal?: AbortSignal | undefined;
    readonly onWarning?: ((message: string) => void) | undefined;
  },
  { catalog, configuration, open }: KnownHere,
): Promise<Repository> {
  const records = withConfigured(catalog.listRepositories(), configuration, request.stateDir);
  const repositoryRequest = { ...request, repository: request.repository ?? configuration?.repository };
  if (repositoryRequest.repository === undefined && !records.some(({ isDefault }) => isDefault))
    throw await noRepository(request.stateDir);
  const place = findRepository(repositoryRequest, records);
  const { record } = place;
  if (record !== undefined && !isConfigured(record, configuration))
    await refuseForeignProgram(place, request.stateDir);
  const repository = await openOrExplain(open, repositoryAccess(place, request));
  if (place.record === undefined || place.record.repositoryId === repository.id) return repository;
  if (place.record.repositoryId === '') {
    // From now on it is known, and a replacement is noticed.
    catalog.saveRepository({ ...place.record, repositoryId: repository.id });
    return repository;
  }
  await repository[Symbol.asyncDispose]();
  throw new AppError(
    'conflict',
    `The repository ${quote(place.location)} is not the one that was there before`,
    {
      detail: `Expected ${place.record.repositoryId.slice(0, 16)}, found ${repository.id.slice(0, 16)}. It was replaced, or another disk is mounted.`,
      hint: 'Bring the right one back, or take this one over with "holdfast init --repo DIR".',
    },
  );
}

/** True when the state folder adds nothing to the configuration, which was checked when it was read. */
function isConfigured({ name, options }: RepositoryRecord, said: RepositoriesSaid | undefined): boolean {
  const repository = said?.repositories.get(name);
  return repository !== undefined && (repository.options !== undefined || options === undefined);
}

async function openOrExplain(open: KnownHere['open'], access: RepositoryAccess): Promise<Repository> {
  try {
    return await open(access);
  } catch (error) {
    if (!isAppError(error, 'not-found') || error.hint !== undefined) throw error;
    throw new AppError('not-found', error.message, {
      detail: error.detail,
      hint: `If it is on a disk that is not mounted, mount it. To make a new one: holdfast init --repo ${access.location}`,
      cause: error,
    });
  }
}
