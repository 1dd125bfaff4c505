import { borgPeer } from './borg.ts';
import { copyPeer } from './copy.ts';
import { dockerPeer } from './docker.ts';
import { holdfastPeer } from './holdfast.ts';
import type { Peer } from './peer.ts';
import { resticPeer } from './restic.ts';
import { tarPeer } from './tar.ts';

/** All peers, in the order of their turns. */
export const allPeers: readonly Peer[] = [copyPeer, tarPeer, resticPeer, borgPeer, dockerPeer, holdfastPeer];

/** The peer that the others are compared with. */
export const ownPeer: Peer = holdfastPeer;
