import {
  addRepository,
  checkRepositories,
  removeRepository,
  type Repositories,
  type RepositoriesParts,
  setDefaultRepository,
} from './repositories.ts';

/** The repositories known by name. */
export function openRepositories(parts: RepositoriesParts): Repositories {
  return {
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
