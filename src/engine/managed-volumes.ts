export type * from '../hosts/managed-volumes.ts';
