/**
 * Who works on what: the hold on a volume or an application, alone or shared, against processes, state folders and other users of
 * the machine. Every work on a volume takes what `works.ts` says it holds, by `takeLeases()`. Begin with `works.ts`.
 */
export { pathIdentity, volumeIdentity } from './identity.ts';
export {
  isReadOnly,
  type VolumeAccess,
  type VolumeScope,
  type LeaseScope,
  openLeaseScope,
  takeLease,
  takeLeases,
} from './lease.ts';
export type { Work } from './works.ts';
