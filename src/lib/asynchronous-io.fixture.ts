import { fstatSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);
const syscall = libc.func(
  'intptr_t syscall(intptr_t number, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e)',
);

const isArm = process.arch === 'arm64';
const [setup, destroy, submit, getEvents] = isArm ? [0, 1, 2, 4] : [206, 207, 209, 208];
const writeCommand = 1;

/** Makes an open file longer as databases do, by `io_submit`; returns when the kernel has done it. */
export function growByAsynchronousIo(fd: number, bytes: number): void {
  const context = Buffer.alloc(8);
  const call = (number: number, ...args: readonly (number | bigint)[]): void => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = args;
    const status = Number(syscall(number, a, b, c, d, e));
    if (status < 0) throw new Error(`system call ${number} fails: ${koffi.errno()}`);
  };
  call(setup, 1, koffi.address(context));
  const data = Buffer.alloc(bytes, 'x');
  const block = Buffer.alloc(64);
  block.writeUInt16LE(writeCommand, 16);
  block.writeUInt32LE(fd, 20);
  block.writeBigUInt64LE(koffi.address(data), 24);
  block.writeBigUInt64LE(BigInt(bytes), 32);
  block.writeBigInt64LE(BigInt(fstatSync(fd).size), 40);
  const blocks = Buffer.alloc(8);
  blocks.writeBigUInt64LE(koffi.address(block));
  const id = context.readBigInt64LE();
  call(submit, id, 1, koffi.address(blocks));
  call(getEvents, id, 1, 1, koffi.address(Buffer.alloc(32)), 0);
  call(destroy, id);
}
