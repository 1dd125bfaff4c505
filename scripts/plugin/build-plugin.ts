import {
  copyFileSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { compilePackage } from '../compile-package.ts';
import { pluginConfig, places } from './plugin-config.ts';
import { type Extra, findPrograms } from './plugin-programs.ts';
import { copyProductionPackages } from './production-packages.ts';
import { sharedLibrariesOf } from './shared-libraries.ts';

const root = dirname(dirname(import.meta.dirname));

export interface PluginBuild {
  /** Emptied first: `config.json` and `rootfs`, as `docker plugin create` expects them. */
  readonly target: string;
  readonly extras: readonly Extra[];
}

/**
 * Builds Docker's managed plugin from this checkout and the programs and libraries of this machine. Downloads
 * nothing.
 */
export async function buildPlugin({ target, extras }: PluginBuild): Promise<void> {
  const programs = findPrograms(extras);
  const rootfs = join(target, 'rootfs');
  rmSync(target, { recursive: true, force: true });
  makeFolders(rootfs);
  await copyPackage(rootfs);
  copyFileSync(bundledNode(), join(rootfs, places.node));
  for (const program of programs)
    copyFileSync(realpathSync(program), join(rootfs, 'usr/sbin', basename(program)));
  for (const [name, same] of otherNames) symlinkSync(same, join(rootfs, 'usr/sbin', name));
  const native = globSync('**/*.node', { cwd: join(rootfs, places.package) });
  await copyLibraries(rootfs, [
    ...programs,
    bundledNode(),
    ...native.map((path) => join(rootfs, places.package, path)),
  ]);
  writeSettings(rootfs);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  writeFileSync(
    join(target, 'config.json'),
    `${JSON.stringify(pluginConfig({ version, extras }), undefined, 2)}\n`,
  );
}

const otherNames: readonly (readonly [name: string, same: string])[] = [['mkfs.ext4', 'mke2fs']];

/** As in Linux distributions: the short names are links into /usr. */
function makeFolders(rootfs: string): void {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(rootfs, 'usr', folder), { recursive: true });
    symlinkSync(`usr/${folder}`, join(rootfs, folder));
  }
  const places_ = ['etc', 'dev', 'proc', 'sys', 'run', 'tmp', 'var/cache', places.host, places.published];
  for (const folder of places_) mkdirSync(join(rootfs, folder), { recursive: true });
}

async function copyPackage(rootfs: string): Promise<void> {
  const folder = join(rootfs, places.package);
  await compilePackage(join(folder, 'dist'));
  rmSync(join(folder, 'dist/types'), { recursive: true });
  for (const name of ['package.json', 'LICENSE']) copyFileSync(join(root, name), join(folder, name));
  copyProductionPackages(root, folder);
}

function bundledNode(): string {
  return join(root, `node_modules/node-linux-${process.arch}/bin/node`);
}

async function copyLibraries(rootfs: string, files: readonly string[]): Promise<void> {
  for (const library of await sharedLibrariesOf(files)) {
    const place = join(rootfs, library);
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(realpathSync(library), place);
  }
}

function writeSettings(rootfs: string): void {
  const files = {
    passwd: 'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n',
    group: 'root:x:0:\nnogroup:x:65534:\n',
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(rootfs, 'etc', name), text);
  symlinkSync('../proc/self/mounts', join(rootfs, 'etc/mtab'));
  copyFileSync('/etc/mke2fs.conf', join(rootfs, 'etc/mke2fs.conf'));
}
