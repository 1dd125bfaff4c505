import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The recorded properties of `bin/node` in the bundled Node.js: see docs/decisions/0056-supply-chain.md. */
interface BundledNode {
  readonly version: string;
  /** SHA-256 in hexadecimal, by the package that contains it. */
  readonly programs: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<Record<string, Manifest>>;
}

const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'] as const;

/** Returns what is wrong with package.json and package-lock.json of a folder, one line each. */
export function findPackageFaults(root: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  return [
    ...compare(manifest, lock),
    ...findLockFaults(lock),
    ...findMissingPackages(lock),
    ...findScriptFaults(manifest, lock),
  ];
}

/** Returns what is wrong with the Node.js in a folder's packages, one line each. */
export function findBundledNodeFaults(root: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const bundled = JSON.parse(readFileSync(join(root, 'scripts/bundled-node.json'), 'utf8')) as BundledNode;
  const names = Object.keys(manifest.optionalDependencies ?? {}).filter((name) => name.startsWith('node-'));
  if (names.length === 0) return ['package.json brings no Node.js'];
  let compared = 0;
  const faults = names.flatMap((name) => {
    if (manifest.optionalDependencies?.[name] !== bundled.version)
      return [
        `scripts/bundled-node.json is of version ${bundled.version}, and package.json has another "${name}"`,
      ];
    const wanted = bundled.programs[name];
    if (wanted === undefined) return [`scripts/bundled-node.json has no checksum of "${name}"`];
    const program = join(root, 'node_modules', name, 'bin/node');
    if (!existsSync(program)) return [];
    compared += 1;
    const found = createHash('sha256').update(readFileSync(program)).digest('hex');
    return found === wanted ? [] : [`"${name}" brings another program: SHA-256 ${found}, not ${wanted}`];
  });
  return compared > 0 || faults.length > 0
    ? faults
    : ['no bundled Node.js is installed, so none was compared'];
}

function compare(manifest: Manifest, lock: LockFile): string[] {
  const locked = lock.packages[''] ?? {};
  return kinds.flatMap((kind) => {
    const names = new Set([...Object.keys(manifest[kind] ?? {}), ...Object.keys(locked[kind] ?? {})]);
    return [...names].flatMap((name) => {
      const version = manifest[kind]?.[name];
      if (version !== locked[kind]?.[name]) {
        return [`package-lock.json does not follow package.json in "${name}": run npm install`];
      }
      if (version === undefined || !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) {
        return [`package.json: the version of "${name}" is not exact: "${version}"`];
      }
      return [];
    });
  });
}

function findLockFaults(lock: LockFile): string[] {
  return Object.entries(lock.packages).flatMap(([path, entry]) => {
    if (path === '') return [];
    if (entry.resolved !== undefined)
      return [`package-lock.json: "${path}" names where it was downloaded from`];
    if (entry.integrity === undefined && entry.link !== true)
      return [`package-lock.json: "${path}" has no integrity`];
    return [];
  });
}

/**
 * `npm ci` refuses a lock file that lacks an optional package of any platform, even of one that Holdfast does
 * not run on.
 */
function findMissingPackages(lock: LockFile): string[] {
  const known = new Set(Object.keys(lock.packages));
  return Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !placesOf(path, name).some((place) => known.has(place)))
      .map(
        (name) =>
          `package-lock.json lacks "${name}", and "npm ci" fails: remove the lock file and run npm install`,
      ),
  );
}

/**
 * A package's install script would run on every machine that installs the packages of this checkout: all are
 * denied.
 */
function findScriptFaults({ allowScripts = {} }: Manifest, lock: LockFile): string[] {
  const names = Object.entries(lock.packages)
    .filter(([path, { hasInstallScript }]) => path !== '' && hasInstallScript === true)
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
  const allowed = Object.keys(allowScripts).filter((name) => allowScripts[name] !== false);
  return [
    ...names
      .filter((name) => allowScripts[name] === undefined)
      .map((name) => `"${name}" has an install script: add it to "allowScripts" of package.json as false`),
    ...allowed.map((name) => `package.json: "allowScripts" lets the install script of "${name}" run`),
  ];
}

/**
 * Where npm looks for a package that the package at `path` requires: beside its own files, then further and
 * further out.
 */
function placesOf(path: string, name: string): string[] {
  const outer = path.slice(0, Math.max(0, path.lastIndexOf('node_modules/') - 1));
  const here = path === '' ? `node_modules/${name}` : `${path}/node_modules/${name}`;
  return path === '' ? [here] : [here, ...placesOf(outer, name)];
}
