export { decompressed } from './archive-format.ts';
export { openEngine } from './open-engine.ts';
export type { ProtectedNames } from './protection.ts';
export type { ForeignTrash, ForeignVolume } from './trash-foreign.ts';
export type * from './volume-engine.ts';
