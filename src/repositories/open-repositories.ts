import type { Repositories, RepositoriesParts } from './repositories.ts';

/** The repositories known by name; what does the work is loaded when it is asked for. */
export function openRepositories(parts: RepositoriesParts): Repositories {
  return {
    async add(request, options = {}) {
      const { addRepository } = await import('./repositories.ts');
      return await addRepository(parts, request, options);
    },
    async list() {
      return (await parts.catalog()).listRepositories();
    },
    async remove(name) {
      const { removeRepository } = await import('./repositories.ts');
      return await removeRepository(parts, name);
    },
    async setDefault(name) {
      const { setDefaultRepository } = await import('./repositories.ts');
      return await setDefaultRepository(parts, name);
    },
    async check(names, options = {}) {
      const { checkRepositories } = await import('./repositories.ts');
      return await checkRepositories(parts, names, options);
    },
  };
}
