/**
 * The repositories that this state folder knows: their names, keys, options and upkeep (copy, repair, prune).
 * The format itself is in `../repository`. Begin with `repositories.ts` and `upkeep.ts`.
 */
export { initialize, type InitReport, type RepositoryMaker } from './init.ts';
export { repositoryKeys, takeOver } from './no-repository.ts';
export { openRepositories } from './repositories.ts';
export { openKnown } from './open-repository.ts';
export type * from './repositories.ts';
export { openUpkeep } from './upkeep.ts';
export type * from './upkeep.ts';
export type { ConfiguredRepository } from './with-configured.ts';
