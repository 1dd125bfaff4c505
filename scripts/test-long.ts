import { randomInt } from 'node:crypto';

/**
 * The fault lanes, with enough faults to trust the result, however long that takes. HOLDFAST_TEST_FAULTS=1000
 * makes that many random ones, and HOLDFAST_TEST_SEED repeats an earlier run.
 */
const lanes = ['faults', 'interop', 'engine'];

const seed = (process.env['HOLDFAST_TEST_SEED'] ??= String(randomInt(2 ** 31)));
const faults = (process.env['HOLDFAST_TEST_FAULTS'] ??= 'all');
console.log(`HOLDFAST_TEST_SEED=${seed} HOLDFAST_TEST_FAULTS=${faults}`);
const isChosen = process.argv.some((argument) => argument.startsWith('--lane'));
if (!isChosen) process.argv.splice(2, 0, ...lanes.flatMap((lane) => ['--lane', lane]));
await import('./test.ts');
