import { expect, test } from 'vitest';
import type { DoctorFinding } from '../../../app/app.ts';
import type { Session } from '../session.ts';
import { runDoctor } from './doctor.ts';

const finding: DoctorFinding = {
  ...{ id: 'HF-D012', rule: 'source-missing', severity: 'downtime', evidence: [], commands: [] },
  subject: { kind: 'container', name: 'db' },
  ...{ message: '"/srv/db" is not there', meaning: 'The container cannot start.' },
  remedy: 'Bring the data back from a backup; or, where it was empty, make the folder for 70:70.',
  ...{ position: undefined, fix: { kind: 'folder', path: '/srv/db', uid: 70, gid: 70 } },
};

test('the plan for a lost folder names the empty folder that is made, and no return of its data', async () => {
  const report = { findings: [finding], notLookedAt: [], looked: { containers: 1, volumes: 0, mounts: 1 } };
  const told: string[] = [];
  const session = {
    app: { doctor: { examine: () => Promise.resolve(report) } },
    sameFlags: [],
    warn: (message: string) => void told.push(message),
    confirm: () => Promise.resolve(false),
    printer: { print: () => {} },
  } as unknown as Session;
  await expect(runDoctor(session, { fix: true }, [])).rejects.toThrow('1 fault');
  expect(told).toEqual([
    'To be mended:\n  "/srv/db" is not there\n    Make the folder "/srv/db" for 70:70, with nothing in it.',
  ]);
});

test('the hint names what was asked for, where it was looked for', async () => {
  const report = { findings: [finding], notLookedAt: [], looked: { containers: 1, volumes: 0, mounts: 1 } };
  const session = {
    app: { doctor: { examine: () => Promise.resolve(report) } },
    sameFlags: ['--host', 'podman'],
    printer: { print: () => {} },
  } as unknown as Session;
  await expect(runDoctor(session, {}, ['db'])).rejects.toMatchObject({
    hint: '"holdfast --host podman doctor db --fix" shows what it can mend, and asks.',
  });
});
