import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBrokenLinks, findGoneFiles } from './links.ts';
import { findBundledNodeFaults, findPackageFaults } from './packages.ts';
import { findBannedWords } from './words.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('`findBannedWords()`', () => {
  test('finds paths of a machine, with the line', () => {
    const path = ['', 'work', 'main'].join('/');
    expect(findBannedWords('a.md', `one\nsee ${path}/x`)).toEqual([
      expect.stringMatching(/^a\.md:2: a path of/),
    ]);
    expect(findBannedWords('a.md', 'the net/work/flow of data')).toEqual([]);
  });

  test('finds errors other than AppError in code that users face, and leaves tests and scripts alone', () => {
    const line = "throw new Error('x');";
    expect(findBannedWords('src/backup/a.ts', line)).toHaveLength(1);
    expect(findBannedWords('src/backup/a.test.ts', line)).toEqual([]);
    expect(findBannedWords('scripts/a.ts', line)).toEqual([]);
  });
});

describe('`findBrokenLinks()`', () => {
  test('finds links to files that are not there, and knows web pages, anchors and code', () => {
    mkdirSync(join(folder, 'docs'));
    writeFileSync(join(folder, 'docs/b.md'), '');
    const text = '[a](b.md#part) [c](../gone.md) [d](https://example.com/x) [e](#here) `[f](code.md)`';
    expect(findBrokenLinks(folder, 'docs/a.md', text)).toEqual([
      'docs/a.md: the link to "../gone.md" leads nowhere',
    ]);
  });
});

describe('`findGoneFiles()`', () => {
  const files = ['src/backup/index.ts', 'src/backup/save/grade.ts', 'src/restore/undo.ts'];

  test('finds files that ARCHITECTURE.md names and that do not exist', () => {
    const text = '`backup/save/grade.ts` `undo.ts` `restore/grade.ts` `App.ts`';
    expect(findGoneFiles('ARCHITECTURE.md', text, files)).toEqual([
      'ARCHITECTURE.md: the file "restore/grade.ts" is not there',
      'ARCHITECTURE.md: the file "App.ts" is not there',
    ]);
  });

  test('finds files that the first comment of a face names and its room lacks', () => {
    const text = "/** Begin with `grade.ts`, not `undo.ts`. */\nexport { a } from './a.ts'; // `gone.ts`";
    expect(findGoneFiles('src/backup/index.ts', text, files)).toEqual([
      'src/backup/index.ts: the file "undo.ts" is not there',
    ]);
    expect(findGoneFiles('src/backup/save/grade.ts', text, files)).toEqual([]);
  });
});

describe('`findPackageFaults()`', () => {
  const entry = { version: '1.0.0', integrity: 'sha512-x' };

  test('accepts exact versions that match the lock file', () => {
    write({ a: '1.0.0' }, { '': { dependencies: { a: '1.0.0' } }, 'node_modules/a': entry });
    expect(findPackageFaults(folder)).toEqual([]);
  });

  test('finds ranges, a lock file that lags behind, missing hashes, and download addresses', () => {
    write(
      { a: '^1.0.0', b: '2.0.0' },
      {
        '': { dependencies: { a: '^1.0.0' } },
        'node_modules/a': { version: '1.0.0' },
        'node_modules/c': { ...entry, resolved: 'https://example.com/c.tgz' },
      },
    );
    expect(findPackageFaults(folder)).toEqual([
      'package.json: the version of "a" is not exact: "^1.0.0"',
      'package-lock.json does not follow package.json in "b": run npm install',
      'package-lock.json: "node_modules/a" has no integrity',
      'package-lock.json: "node_modules/c" names where it was downloaded from',
    ]);
  });

  test('finds the optional package of a platform that `npm ci` would ask for, wherever npm would look for it', () => {
    const asks = { ...entry, optionalDependencies: { 'x-linux': '1.0.0' } };
    const packages = { '': { dependencies: { a: '1.0.0' } }, 'node_modules/a': asks };
    write({ a: '1.0.0' }, packages);
    expect(findPackageFaults(folder)).toEqual([expect.stringMatching(/lacks "x-linux", and "npm ci" fails/)]);
    for (const place of ['node_modules/x-linux', 'node_modules/a/node_modules/x-linux']) {
      write({ a: '1.0.0' }, { ...packages, [place]: entry });
      expect(findPackageFaults(folder)).toEqual([]);
    }
  });

  test('finds install scripts that are not denied, and those that are allowed', () => {
    const packages = {
      '': { dependencies: { a: '1.0.0' } },
      'node_modules/a': entry,
      'node_modules/a/node_modules/@x/b': { ...entry, hasInstallScript: true },
    };
    write({ a: '1.0.0' }, packages, { allowScripts: { '@x/b': false } });
    expect(findPackageFaults(folder)).toEqual([]);
    write({ a: '1.0.0' }, packages);
    expect(findPackageFaults(folder)).toEqual([expect.stringMatching(/^"@x\/b" has an install script/)]);
    write({ a: '1.0.0' }, packages, { allowScripts: { '@x/b': true } });
    expect(findPackageFaults(folder)).toEqual([
      expect.stringMatching(/lets the install script of "@x\/b" run/),
    ]);
  });

  function write(dependencies: object, packages: object, more: object = {}): void {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies, ...more }));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
  }
});

describe('`findBundledNodeFaults()`', () => {
  test('finds a program other than the recorded one, another version, and a missing record', () => {
    const write = (version: string): void =>
      writeFileSync(
        join(folder, 'package.json'),
        JSON.stringify({ optionalDependencies: { 'node-x': version } }),
      );
    mkdirSync(join(folder, 'scripts'));
    const sha256 = '4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a';
    writeFileSync(
      join(folder, 'scripts/bundled-node.json'),
      JSON.stringify({ version: '1.0.0', programs: { 'node-x': sha256 } }),
    );
    write('1.0.0');
    expect(findBundledNodeFaults(folder)).toEqual([expect.stringMatching(/none was compared/)]);
    mkdirSync(join(folder, 'node_modules/node-x/bin'), { recursive: true });
    writeFileSync(join(folder, 'node_modules/node-x/bin/node'), Buffer.of(1));
    expect(findBundledNodeFaults(folder)).toEqual([]);
    write('1.0.1');
    expect(findBundledNodeFaults(folder)).toEqual([expect.stringMatching(/is of version 1\.0\.0/)]);
    write('1.0.0');
    writeFileSync(join(folder, 'node_modules/node-x/bin/node'), Buffer.of(2));
    expect(findBundledNodeFaults(folder)).toEqual([expect.stringMatching(/"node-x" brings another program/)]);
  });
});
