import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';

/**
 * Creates a tree of everything that is hard to carry: run as root, on a file system with extended attributes.
 */
export async function makeHostileTree(
  root: string,
  options: { readonly socket?: boolean } = {},
): Promise<void> {
  mkdirSync(root, { recursive: true });
  const at = (name: string) => Buffer.from(`${root}/${name}`, 'latin1');
  const deep = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}/${'g'.repeat(90)}`;
  mkdirSync(at(deep), { recursive: true });
  writeFileSync(at(`${deep}/${'n'.repeat(255)}`), 'deep');
  writeFileSync(at('plain.txt'), 'hello\n');
  writeFileSync(at('empty'), '');
  writeFileSync(at('big.bin'), Buffer.alloc(3_000_001, 'holdfast '));
  for (const name of [
    '-rf',
    'a\nb',
    'tab\there',
    'quote\'"',
    'back\\slash',
    ' blank ',
    'caf\xc3\xa9',
    'bad\xff\xfe',
    '\x01\x7f',
  ]) {
    writeFileSync(at(name), `content of ${name}`);
  }
  writeFileSync(at(`bad\xff${'x'.repeat(200)}`), 'long and not UTF-8');
  writeFileSync(at(`\xc3\xa9${'y'.repeat(200)}`), 'long and UTF-8');
  mkdirSync(at('dir\xe9'));
  writeFileSync(at('dir\xe9/inside'), 'in a directory that is not UTF-8');
  symlinkSync('plain.txt', at('link'));
  symlinkSync(`/nowhere/${'t'.repeat(150)}\xff`.replace('\xff', ''), at('long-link'));
  symlinkSync(Buffer.from('to\xff\n', 'latin1'), at('bad-link'));
  linkSync(at('plain.txt'), at('hard-link'));
  linkSync(at('bad\xff\xfe'), at('zz-hard\xff'));
  writeSparse(
    at('sparse-middle'),
    [
      [0, 'start'],
      [5_000_000, 'middle'],
    ],
    9_000_000,
  );
  writeSparse(at('sparse-all'), [], 4_000_000);
  writeSparse(at('sparse-end'), [[4096 * 100, 'x'.repeat(5000)]], 4096 * 100 + 5000);
  execFileSync('mkfifo', [`${root}/fifo`]);
  for (const [attribute, value] of [
    ['user.plain', 'value'],
    ['user.bin', '0x00ff0a3d'],
    ['user.empty', '""'],
    ['user.a=b%25', 'odd'],
  ]) {
    execFileSync('setfattr', ['-n', attribute as string, '-v', value as string, `${root}/plain.txt`]);
  }
  execFileSync('setfattr', ['-n', 'user.on-dir', '-v', 'dir', root]);
  execFileSync('setfacl', ['-m', 'u:12345:rwx,g:54321:r--', `${root}/big.bin`]);
  execFileSync('setfacl', ['-d', '-m', 'u:12345:r-x', `${root}/${'d'.repeat(90)}`]);
  if (process.getuid?.() === 0) makeRootThings(root);
  if (options.socket === true) await makeSocket(`${root}/socket`);
  setTimes(root);
}

function makeRootThings(root: string): void {
  execFileSync('mknod', [`${root}/char`, 'c', '1', '3']);
  execFileSync('mknod', [`${root}/block`, 'b', '259', '70000']);
  chownSync(`${root}/empty`, 4_000_000_000, 3_000_000);
  chownSync(`${root}/big.bin`, 1000, 1001);
  lchownSync(`${root}/link`, 77, 88);
  chmodSync(`${root}/big.bin`, 0o6751);
  chmodSync(`${root}/empty`, 0o000);
  execFileSync('setfattr', ['-n', 'trusted.secret', '-v', 'root', `${root}/empty`]);
  execFileSync('setfattr', ['-h', '-n', 'trusted.on-link', '-v', 'root', `${root}/link`]);
}

/** Sets times before 1970, with all nine digits, on the symbolic link itself, and on directories last. */
function setTimes(root: string): void {
  const touch = (time: string, name: string) => execFileSync('touch', ['-h', '-d', time, `${root}/${name}`]);
  touch('1969-12-31T23:59:58.123456789Z', 'plain.txt');
  touch('1901-12-31T00:00:00.000000001Z', 'empty');
  touch('2040-02-29T12:34:56.999999999Z', 'big.bin');
  touch('2001-01-01T00:00:00Z', 'sparse-all');
  touch('1999-09-09T09:09:09.900000000Z', 'link');
  touch('2011-11-11T11:11:11.111111111Z', 'd'.repeat(90));
  touch('2012-12-12T12:12:12.121212121Z', '.');
}

function writeSparse(path: Buffer, runs: readonly (readonly [number, string])[], size: number): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, size);
  for (const [offset, text] of runs) writeSync(file, text, offset);
  closeSync(file);
}

/**
 * The server's process unlinks the name that it has bound, so the socket is bound under another and renamed.
 */
async function makeSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.tmp`, resolve));
  execFileSync('mv', [`${path}.tmp`, path]);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
