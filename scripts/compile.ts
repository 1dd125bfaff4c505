import { dirname, join } from 'node:path';
import { compilePackage } from './compile-package.ts';

/** What `npm pack` and `npm publish` run first: a package without dist/ cannot start. */
await compilePackage(join(dirname(import.meta.dirname), 'dist'));
