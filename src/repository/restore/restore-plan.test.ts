import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RestorePlan, runsOfBlob } from './restore-plan.ts';
import type { PackWork } from './restore-task.ts';

test('the runs of a blob are exactly the bytes of the file’s runs that lie in it', () => {
  const steps = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 30 })), { maxLength: 6 });
  fc.assert(
    fc.property(steps, fc.nat(150), fc.nat(80), (parts, offset, length) => {
      const runs: { offset: number; length: number }[] = [];
      let at = 0;
      for (const [hole, run] of parts) {
        runs.push({ offset: at + hole, length: run });
        at += hole + run;
      }
      const holds = (list: typeof runs, place: number): boolean =>
        list.some((run) => run.offset <= place && place < run.offset + run.length);
      const found = runsOfBlob(runs, offset, length);
      for (let place = 0; place < length; place++)
        expect(holds([...found], place)).toBe(holds(runs, offset + place));
      for (const run of found) expect(run.offset + run.length).toBeLessThanOrEqual(length);
    }),
  );
});

test('every wanted blob is handed out once, with all its targets, in any order', () => {
  const wanted = fc.array(fc.tuple(fc.nat(3), fc.nat(400)), { maxLength: 3000 });
  fc.assert(
    fc.property(wanted, (blobs) => {
      const plan = new RestorePlan();
      const tasks: PackWork[] = [];
      blobs.forEach(([pack, blob], fileOffset) => {
        const place = { packId: `${pack}`, offset: blob, length: 1, uncompressedLength: 0 };
        const task = plan.add(`${blob}`, place, { path: 'f', fileOffset, fileSize: 1 });
        if (task) tasks.push(task);
        tasks.push(...plan.drain(false));
      });
      tasks.push(...plan.drain(true));
      const given = tasks.flatMap(({ packId, blobs: works }) =>
        works.flatMap(({ id, targets }) =>
          targets.map(({ fileOffset }) => [fileOffset, Number(packId), Number(id)]),
        ),
      );
      const sorted = given.toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
      expect(sorted).toEqual(blobs.map(([pack, blob], i) => [i, pack, blob]));
      expect([...plan.drain(true)]).toEqual([]);
    }),
    { numRuns: 30 },
  );
});
