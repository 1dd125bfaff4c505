import {
  addRepository,
  checkRepositories,
  removeRepository,
  type Repositories,
  type RepositoriesAccess,
  type RepositoryState,
  setDefaultRepository,
} from './repositories.ts';

export function openRepositories(access: RepositoriesAccess): Repositories {
  return {
    asJson: { state: stateAsJson },
    async add(request, options = {}) {
      return await addRepository(access, request, options);
    },
    async list() {
      return (await access.catalog()).listRepositories();
    },
    async remove(name) {
      return removeRepository(await access.catalog(), name);
    },
    async setDefault(name) {
      return setDefaultRepository(await access.catalog(), name);
    },
    async check(names, options = {}) {
      return await checkRepositories(access, names, options);
    },
  };
}

function stateAsJson({ error, ...state }: RepositoryState): object {
  return error === undefined ? state : { ...state, error: { code: error.code, message: error.message } };
}
