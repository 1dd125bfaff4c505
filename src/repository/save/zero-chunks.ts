import { proofOf } from '../../lib/keyed-proof.ts';
import { idListOf, type IdList } from '../format/id-list.ts';
import type { ZeroCuts } from './file-holes.ts';

/** The ids and proofs of repeated chunks of zeros, used in parts for files. */
export interface ZeroChunks {
  readonly ids: IdList;
  /** For each unit, concatenated. */
  readonly proofs: Uint8Array;
}

/** For that many units of chunks with this id. */
export function zeroChunksOf(
  id: string,
  {
    cuts,
    units,
    proofKey,
  }: { readonly cuts: ZeroCuts; readonly units: number; readonly proofKey: Uint8Array },
): ZeroChunks {
  const chunks = (cuts.unitBytes / cuts.chunkBytes) * units;
  const proof = proofOf(proofKey, new Uint8Array(cuts.unitBytes));
  return {
    ids: new Uint8Array(Buffer.alloc(chunks * 32, idListOf([id]))),
    proofs: new Uint8Array(Buffer.alloc(units * proof.length, proof)),
  };
}
