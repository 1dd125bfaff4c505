import {
  addRepository,
  checkRepositories,
  removeRepository,
  type Repositories,
  type RepositoriesParts,
  type RepositoryState,
  setDefaultRepository,
} from './repositories.ts';

export function openRepositories(parts: RepositoriesParts): Repositories {
  return {
    asJson: { state: stateAsJson },
    async add(request, options = {}) {
      return await addRepository(parts, request, options);
    },
    async list() {
      return (await parts.catalog()).listRepositories();
    },
    async remove(name) {
      return await removeRepository(parts, name);
    },
    async setDefault(name) {
      return await setDefaultRepository(parts, name);
    },
    async check(names, options = {}) {
      return await checkRepositories(parts, names, options);
    },
  };
}

function stateAsJson({ error, ...state }: RepositoryState): object {
  return error === undefined ? state : { ...state, error: { code: error.code, message: error.message } };
}
