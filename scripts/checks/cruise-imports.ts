import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { importRules } from './import-rules.ts';
import './swc-using.ts';

/** Returns what is wrong with the imports of a tree with these TypeScript files below `src/` and `bench/`, one line each. */
export async function cruiseImports(root: string, files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return ['there is no TypeScript file to look at'];
  const result = await cruiseTree(root);
  const violations = result.summary.violations.map((violation) => {
    const comment = importRules.find((rule) => rule.name === violation.rule.name)?.comment;
    const cycle =
      violation.cycle === undefined ? '' : ` → ${violation.cycle.map((step) => step.name).join(' → ')}`;
    return `${violation.from} imports ${violation.to}${cycle}: ${violation.rule.name} (${comment ?? ''})`;
  });
  return [...violations, ...findUnseen(root, files, result)];
}

/**
 * When its parser cannot read a file, dependency-cruiser silently finds nothing in it: so its result is
 * compared with the existing files and with a plain search for their relative imports.
 */
function findUnseen(root: string, files: readonly string[], result: ICruiseResult): string[] {
  const modules = new Map(result.modules.map((module) => [module.source, module]));
  return files.flatMap((file) => {
    const module = modules.get(file);
    if (module === undefined) return [`${file} was not looked at`];
    const seen = new Set(module.dependencies.map((dependency) => dependency.module));
    return relativeImports(readFileSync(join(root, file), 'utf8'))
      .filter((specifier) => !seen.has(specifier))
      .map((specifier) => `${file}: the import of "${specifier}" was not seen`);
  });
}

function relativeImports(source: string): string[] {
  const statement = /^(?:import|export)\b(?:[^'";]*?\bfrom)?\s*['"](\.[^'"]+)['"]/gm;
  return [...source.matchAll(statement)].map((match) => match[1] ?? '');
}

async function cruiseTree(root: string): Promise<ICruiseResult> {
  const { output } = await cruise(['src', 'bench'], {
    baseDir: root,
    parser: 'swc',
    tsPreCompilationDeps: true,
    validate: true,
    ruleSet: { forbidden: [...importRules] },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
  });
  if (typeof output === 'string')
    throw new Error('dependency-cruiser reported text where data was asked for');
  return output;
}

/** Files of a small tree, each with an import that the rule forbids. */
const forbidden: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'model-imports': { 'src/model/a.ts': "import '../lib/a.ts';" },
  'model-is-pure': { 'src/model/b.ts': "import { join } from 'node:path'; join('a');" },
  'lib-imports': { 'src/lib/a.ts': "import type { A } from '../repository/index.ts'; export type B = A;" },
  'repository-imports': { 'src/repository/index.ts': "import '../catalog/catalog.ts'; export type A = 1;" },
  'drivers-imports': { 'src/drivers/driver.ts': "import '../hosts/host.ts';" },
  'catalog-imports': { 'src/catalog/catalog.ts': "export * from '../drivers/driver.ts';" },
  'hosts-imports': { 'src/hosts/host.ts': "import '../volumes/a.ts';" },
  'rooms-have-one-face': {
    'src/app/c.ts': "import '../restore/b.ts';",
    'src/proof/b.ts': "await import('../restore/b.ts');",
    'bench/c.ts': "import type { A } from '../src/backup/b.ts'; export type B = A;",
  },
  'siblings-stay-apart': {
    'src/hosts/docker/a.ts': "import '../podman/a.ts';",
    'src/surfaces/cli/d.ts': "import '../docker-api/a.ts';",
  },
  'insight-imports': { 'src/insight/a.ts': "import '../policies/a.ts';" },
  'policies-imports': { 'src/policies/a.ts': "import '../hosts/podman/a.ts';" },
  'proof-imports': { 'src/proof/a.ts': "import '../policies/a.ts';" },
  'retention-imports': { 'src/retention/a.ts': "import '../proof/a.ts';" },
  'restore-imports': { 'src/restore/a.ts': "import '../repository/pack/a.ts';" },
  'backup-imports': { 'src/backup/a.ts': "import '../restore/a.ts';" },
  'repositories-imports': { 'src/repositories/a.ts': "import '../backup/a.ts';" },
  'snapshots-imports': { 'src/snapshots/a.ts': "await import('../repositories/a.ts');" },
  'compose-imports': { 'src/compose/a.ts': "import '../backup/a.ts';" },
  'volumes-imports': { 'src/volumes/a.ts': "import '../snapshots/a.ts';" },
  'quiesce-imports': { 'src/quiesce/a.ts': "import type { A } from '../volumes/a.ts'; export type B = A;" },
  'leases-imports': { 'src/leases/a.ts': "import '../quiesce/a.ts';" },
  'activity-imports': { 'src/activity/a.ts': "import '../catalog/sqlite/a.ts';" },
  'surfaces-imports': { 'src/surfaces/cli/a.ts': "import '../../backup/a.ts';" },
  'surfaces-are-handed-an-app': {
    'src/surfaces/cli/b.ts': "import type { open } from '../../app.ts'; export type O = typeof open;",
  },
  'app-knows-no-surface': { 'src/app/a.ts': "import '../surfaces/docker-api/serve-api.ts';" },
  'app-contract-is-types': {
    'src/app/app.ts': "export type * from '../lib/g.ts'; export * from '../model/c.ts';",
  },
  'entry-points-import-no-implementation': { 'src/index.ts': "export * from './hosts/podman/a.ts';" },
  'nothing-imports-an-entry-point': {
    'src/app.ts': "import './surfaces/cli/main.ts'; export const open = () => 1;",
  },
  'no-tests-in-the-product': { 'src/lib/b.ts': "import './a.test.ts';" },
  'no-undeclared-packages': { 'src/lib/c.ts': "import 'undeclared';" },
  'no-missing-files': { 'src/lib/d.ts': "import './gone.ts';" },
  'no-cycles': {
    'src/lib/e.ts': "import './f.ts';",
    'src/lib/f.ts': "import './e.ts';",
    'src/lib/h.ts': "import type { I } from './i.ts'; export type H = I;",
    'src/lib/i.ts': "import type { H } from './h.ts'; export type I = H | 1;",
    'bench/a.ts': "import type { B } from './b.ts'; export const a: B = 1;",
    'bench/b.ts': "import { a } from './a.ts'; export type B = typeof a;",
  },
};
const allowed: Readonly<Record<string, string>> = {
  'src/lib/a.test.ts': "import '../volumes/b.ts';",
  'src/hosts/podman/a.ts': "import '../host.ts'; import '../../model/c.ts';",
  'src/repository/pack/a.ts': "import type { A } from '../index.ts'; export type B = A;",
  'src/catalog/sqlite/a.ts': "import '../../lib/g.ts';",
  'src/surfaces/cli/main.ts': "import { open } from '../../app.ts'; open();",
  'src/surfaces/docker-api/serve-api.ts': "import '../../lib/g.ts';",
  'src/surfaces/docker-api/a.ts': "import '../../lib/g.ts';",
  'src/surfaces/cli/c.ts':
    "import '../docker-api/serve-api.ts'; import type { c } from '../../app/app.ts'; export type C = typeof c;",
  'src/restore/index.ts': "import './b.ts';",
  'src/restore/b.ts':
    "import '../repository/index.ts'; import '../backup/index.ts'; import '../leases/index.ts'; import '../hosts/host.ts';",
  'src/backup/index.ts': "import '../volumes/index.ts'; import './b.ts';",
  'src/backup/b.ts': "import '../activity/index.ts';",
  'src/volumes/index.ts': 'export const v = 1;',
  'src/leases/index.ts': 'export const l = 1;',
  'src/activity/index.ts': 'export const a = 1;',
  'src/app/b.ts': "import '../restore/index.ts';",
  'src/leases/b.ts': "import '../hosts/host.ts';",
  'src/activity/b.ts': "import '../catalog/catalog.ts';",
  'src/volumes/b.ts':
    "import '../hosts/host.ts'; import '../catalog/catalog.ts'; import '../drivers/driver.ts';",
  'src/lib/g.ts': "import { join } from 'node:path'; import '../model/c.ts'; join('a');",
  'src/model/c.ts': 'export const c = 1;',
  'node_modules/undeclared/index.js': 'export const u = 1;',
  'node_modules/undeclared/package.json':
    '{"name":"undeclared","version":"1.0.0","type":"module","main":"index.js"}',
  'package.json': '{"name":"fixture","type":"module"}',
};

/**
 * Proves on a generated tree that every rule catches what it forbids and nothing else; returns the failures.
 */
export async function proveRules(): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), 'import-rules-'));
  try {
    const sources: typeof allowed = Object.assign({}, allowed, ...Object.values(forbidden));
    for (const [path, text] of Object.entries(sources)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `${text}\n`);
    }
    const { violations } = (await cruiseTree(root)).summary;
    const missed = importRules.flatMap(({ name = '' }) => {
      const caught = violations
        .filter((found) => found.rule.name === name)
        .flatMap(({ from, cycle = [] }) => [from, ...cycle.map((step) => step.name)]);
      const planted = Object.keys(forbidden[name] ?? {});
      if (planted.length === 0) return [`nothing shows that the rule "${name}" catches anything`];
      return planted
        .filter((file) => !caught.includes(file))
        .map((file) => `the rule "${name}" did not catch an import that it forbids: ${file}`);
    });
    const wrong = violations
      .filter((found) => found.from in allowed)
      .map((found) => `the rule "${found.rule.name}" caught an import that is allowed: ${found.from}`);
    return [...missed, ...wrong];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
