import { dirname, join } from 'node:path';
import { compilePackage } from './compile-package.ts';

/** Runs before `npm pack` and `npm publish`: a package without dist/ cannot start. */
await compilePackage(join(dirname(import.meta.dirname), 'dist'));
