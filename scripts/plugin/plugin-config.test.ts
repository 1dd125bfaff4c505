import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pluginConfig } from './plugin-config.ts';
import { productionPackages } from './production-packages.ts';

const root = join(import.meta.dirname, '../..');

interface Config {
  readonly entrypoint: readonly string[];
  readonly propagatedMount: string;
  readonly mounts: readonly { readonly destination: string; readonly options: readonly string[] }[];
}

const config = pluginConfig({ version: '1.2.3', extras: [] }) as Config;

test('the plugin starts Node.js with the flags of the command', () => {
  const command = readFileSync(join(root, 'bin/holdfast'), 'utf8');
  const [, flags = ''] = /^exec "\$node" (--.*?) "\$entry"/m.exec(command) ?? [];
  expect([...flags.split(' '), '/opt/holdfast/dist/main.js']).toEqual(config.entrypoint.slice(1, 4));
});

test('the state folder is the host’s, and is used where the engine sees what is mounted in it', () => {
  const { entrypoint, propagatedMount, mounts } = config;
  const after = (flag: string): string => entrypoint[entrypoint.indexOf(flag) + 1] ?? '';
  expect(after('--state-dir').startsWith(`${propagatedMount}/`)).toBe(true);
  const state = mounts.find(({ destination }) => destination === after('--state-from'));
  expect(state?.options).toContain('rshared');
});

test('the packages are those that the product imports, with what these need, and none for development', () => {
  const found = productionPackages(root);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies: object;
    readonly devDependencies: object;
  };
  const paths = (packages: object): string[] => Object.keys(packages).map((name) => `node_modules/${name}`);
  expect(found).toEqual(expect.arrayContaining(paths(manifest.dependencies)));
  expect(paths(manifest.devDependencies).filter((path) => found.includes(path))).toEqual([]);
});
