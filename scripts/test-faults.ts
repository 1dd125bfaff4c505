import { randomInt } from 'node:crypto';

/**
 * The faults lane with as many faults as it takes to trust the result. HOLDFAST_TEST_FAULTS=1000 makes that many random
 * ones, and HOLDFAST_TEST_SEED repeats an earlier run.
 */
const seed = (process.env['HOLDFAST_TEST_SEED'] ??= String(randomInt(2 ** 31)));
const faults = (process.env['HOLDFAST_TEST_FAULTS'] ??= 'all');
console.log(`HOLDFAST_TEST_SEED=${seed} HOLDFAST_TEST_FAULTS=${faults}`);
process.argv.splice(2, 0, '--lane', 'faults');
await import('./test.ts');
