import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import koffi from 'koffi';

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int name, void *value, _Inout_ uint32_t *length)');

const socketLevel = 1;
const peerCredentialsOption = 17;
const credentialsBytes = 12;

interface PeerCredentials {
  /** Undefined when unknown (another pid namespace). */
  readonly pid: number | undefined;
  readonly uid: number;
}

/**
 * The number of the process at the other end of a unix socket; undefined when unknown (another pid
 * namespace).
 */
export function peerProcess(socket: Socket): number | undefined {
  return peerCredentials(socket)?.pid;
}

/** The process at the other end of a unix socket, as it was when it connected or began to listen. */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const value = Buffer.alloc(credentialsBytes);
  if (getsockopt(fd, socketLevel, peerCredentialsOption, value, [credentialsBytes]) !== 0) return undefined;
  const pid = value.readInt32LE(0);
  return { pid: pid > 0 ? pid : undefined, uid: value.readUInt32LE(4) };
}

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const send = libc.func('intptr_t send(int fd, const void *bytes, size_t length, int flags)');
const receive = libc.func('intptr_t recv(int fd, _Out_ uint8_t *bytes, size_t length, int flags)');
const close = libc.func('int close(int fd)');

const netlink = 16;
const rawCloseOnExec = 3 | 0o2000000;
const socketDiagnostics = 4;
const diagnoseByFamily = 20;
const isRequest = 1;
const unixFamily = 1;
const showUid = 0x40;
const uidAttribute = 7;
const withoutWaiting = 0x40;

/**
 * The user who created the socket that listens at an abstract address; undefined when there is none, or it is
 * unknown.
 */
export function socketOwner(address: string): number | undefined {
  const inode = inodeOf(address);
  return inode === undefined ? undefined : ownerOf(inode);
}

/** The abstract addresses that begin so and at which a socket listens of a user who is `isMeant`, or who cannot be told. */
export function addressesBelow(start: string, isMeant: (uid: number) => boolean): string[] {
  return listening().flatMap(({ address, inode }) => {
    if (!address.startsWith(start)) return [];
    const uid = ownerOf(inode);
    return uid === undefined || isMeant(uid) ? [address] : [];
  });
}

function inodeOf(wanted: string): number | undefined {
  return listening().find(({ address }) => address === wanted)?.inode;
}

/** The kernel's list shows the name with a leading `@`, and flags 10000 for a listening socket. */
function listening(): { readonly address: string; readonly inode: number }[] {
  return [...readList().matchAll(/^\S+ \S+ \S+ 00010000 \S+ \S+ +(\d+) @(.*)$/gm)].map(
    ([, inode, name = '']) => ({ address: `\0${name}`, inode: Number(inode) }),
  );
}

function readList(): string {
  try {
    return readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return '';
  }
}

/**
 * The kernel answers within the call: nothing waits, and the process that owns the socket is not involved.
 */
function ownerOf(inode: number): number | undefined {
  const fd = Number(socket(netlink, rawCloseOnExec, socketDiagnostics));
  if (fd < 0) return undefined;
  try {
    const question = Buffer.alloc(40);
    question.writeUInt32LE(question.length, 0);
    question.writeUInt16LE(diagnoseByFamily, 4);
    question.writeUInt16LE(isRequest, 6);
    question.writeUInt8(unixFamily, 16);
    question.writeUInt32LE(0xffff_ffff, 20);
    question.writeUInt32LE(inode, 24);
    question.writeUInt32LE(showUid, 28);
    question.fill(0xff, 32);
    if (Number(send(fd, question, question.length, 0)) !== question.length) return undefined;
    const answer = Buffer.alloc(4096);
    const length = Number(receive(fd, answer, answer.length, withoutWaiting));
    return length < 0 ? undefined : uidIn(answer.subarray(0, length));
  } finally {
    close(fd);
  }
}

/** After the headers come attributes: length, type, value, each padded to a multiple of 4. */
function uidIn(answer: Buffer): number | undefined {
  if (answer.length < 32 || answer.readUInt16LE(4) !== diagnoseByFamily) return undefined;
  for (let at = 32; at + 8 <= answer.length;) {
    const length = answer.readUInt16LE(at);
    if (answer.readUInt16LE(at + 2) === uidAttribute && length >= 8) return answer.readUInt32LE(at + 4);
    if (length < 4) return undefined;
    at += (length + 3) & ~3;
  }
  return undefined;
}
