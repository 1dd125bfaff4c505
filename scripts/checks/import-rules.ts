import type { IForbiddenRuleType } from 'dependency-cruiser';

const contracts = ['hosts/(host|containers)\\.ts$', 'catalog/catalog\\.ts$', 'drivers/driver\\.ts$'];
const base = ['model/', 'lib/'];

/** The rooms between the surfaces and the implementations, from the top down: each may use those below it. */
const rooms = [
  'insight',
  'policies',
  'proof',
  'retention',
  'restore',
  'backup',
  'repositories',
  'snapshots',
  'compose',
  'volumes',
  'quiesce',
  'leases',
  'activity',
];

/** What a folder may import besides itself, as patterns of paths below `src/`. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  model: [],
  lib: ['model/'],
  repository: base,
  drivers: base,
  catalog: base,
  hosts: base,
  ...Object.fromEntries(
    rooms.map((room, index) => [
      room,
      [...base, ...contracts, 'repository/index\\.ts$', ...rooms.slice(index + 1).map(faceOf)],
    ]),
  ),
  surfaces: [...base, 'app/app\\.ts$', 'app/known-df\\.ts$', 'app\\.ts$'],
};

/** Tests may import what they test, bypassing faces too. What several of them share is in `test/`. */
export const testFile = '\\.test\\.ts$';
/** How the command starts the servers, and what all servers share. */
const serviceFaces = [
  '^src/surfaces/serve/',
  '^src/surfaces/docker-api/serve-api\\.ts$',
  '^src/surfaces/metrics/serve-metrics\\.ts$',
  '^src/surfaces/docker-plugin/serve-plugin\\.ts$',
];
/** Where a program starts: it may call what otherwise only `app.ts` may. */
const entryPoint = '^(src/surfaces/[^/]+|bench)/main\\.ts$';

function faceOf(room: string): string {
  return `${room}/index\\.ts$`;
}

/** The rules of the folder table in ARCHITECTURE.md, for dependency-cruiser. */
export const importRules: readonly IForbiddenRuleType[] = [
  ...Object.entries(mayImport).map(([folder, others]) => folderRule(folder, others)),
  {
    name: 'model-is-pure',
    comment: 'model imports no package and nothing of Node.js',
    severity: 'error',
    from: { path: '^src/model/', pathNot: testFile },
    to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional', 'npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'rooms-have-one-face',
    comment: 'what another room, App or the benchmark needs of a room is in its index.ts',
    severity: 'error',
    from: { path: '^(src/([^/]+)|bench)(?:/|\\.ts$)', pathNot: testFile },
    to: {
      path: below([...rooms, 'repository'].map((room) => `${room}/`)),
      pathNot: ['^$1/', '^src/[^/]+/index\\.ts$'],
    },
  },
  {
    name: 'siblings-stay-apart',
    comment: 'one surface or kind of host never imports another; cli starts a service by its face',
    severity: 'error',
    from: { path: '^src/(hosts|surfaces)/([^/]+)/', pathNot: testFile },
    to: { path: '^src/$1/[^/]+/', pathNot: ['^src/$1/$2/', ...serviceFaces] },
  },
  {
    name: 'surfaces-are-handed-an-app',
    comment: 'only the main.ts or session.ts of a surface opens an App; everything else knows app/app.ts',
    severity: 'error',
    from: { path: '^src/surfaces/', pathNot: [testFile, '^src/surfaces/[^/]+/(main|session)\\.ts$'] },
    to: { path: '^src/app\\.ts$' },
  },
  {
    name: 'app-knows-no-surface',
    comment: 'the command starts the services that listen, with what it needs of an App',
    severity: 'error',
    from: { path: '^src/app(/|\\.ts$)', pathNot: testFile },
    to: { path: '^src/surfaces/' },
  },
  {
    name: 'app-contract-is-types',
    comment: 'app/app.ts loads nothing',
    severity: 'error',
    from: { path: '^src/app/app\\.ts$' },
    to: { dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'entry-points-import-no-implementation',
    comment: 'src/main.ts and src/index.ts go through app.ts and public faces',
    severity: 'error',
    from: { path: '^src/(main|index)\\.ts$' },
    to: {
      path: '^src/',
      pathNot: below([
        ...base,
        ...contracts,
        'app\\.ts$',
        'app/app\\.ts$',
        'repository/index\\.ts$',
        'surfaces/',
      ]),
    },
  },
  {
    name: 'nothing-imports-an-entry-point',
    comment: 'importing a main.ts would start a program',
    severity: 'error',
    from: { pathNot: testFile },
    to: { path: '/main\\.ts$', pathNot: '^(?!src/)' },
  },
  {
    name: 'no-tests-in-the-product',
    comment: 'what ships imports no test, no script, and no package that is only there for development',
    severity: 'error',
    from: { path: '^src/', pathNot: testFile },
    to: { path: [testFile, '^(test|scripts)/', 'node_modules/(vitest|fast-check|typescript|@swc)/'] },
  },
  {
    name: 'no-undeclared-packages',
    comment: 'a package that is imported stands in package.json',
    severity: 'error',
    from: {},
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'no-missing-files',
    comment: 'an import that leads nowhere',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'no-cycles',
    comment: 'files that need each other, be it for a type',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
];

function folderRule(folder: string, others: readonly string[]): IForbiddenRuleType {
  return {
    name: `${folder}-imports`,
    comment: `${folder} may import ${[folder, ...others].map(readable).join(', ')}`,
    severity: 'error',
    from: { path: `^src/${folder}/`, pathNot: [testFile, entryPoint] },
    to: { path: '^src/', pathNot: below([`${folder}/`, ...others]) },
  };
}

function below(patterns: readonly string[]): string[] {
  return patterns.map((pattern) => `^src/${pattern}`);
}

function readable(pattern: string): string {
  return pattern.replace(/\\|\$$|\/$/g, '');
}
