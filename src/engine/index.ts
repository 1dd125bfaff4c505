export { decompressed } from './archive-format.ts';
export { openEngine } from './open-engine.ts';
export type * from './volume-engine.ts';
