import type { Repositories, RepositoriesParts } from './repositories.ts';

/** The repositories known by name; what does the work is loaded when it is asked for. */
export function openRepositories(parts: RepositoriesParts): Repositories {
  return {
    async addRepository(request, options = {}) {
      const { addRepository } = await import('./repositories.ts');
      return await addRepository(parts, request, options);
    },
    async listRepositories() {
      return (await parts.catalog()).listRepositories();
    },
    async removeRepository(name) {
      const { removeRepository } = await import('./repositories.ts');
      return await removeRepository(parts, name);
    },
    async setDefaultRepository(name) {
      const { setDefaultRepository } = await import('./repositories.ts');
      return await setDefaultRepository(parts, name);
    },
    async checkRepositories(names, options = {}) {
      const { checkRepositories } = await import('./repositories.ts');
      return await checkRepositories(parts, names, options);
    },
  };
}
