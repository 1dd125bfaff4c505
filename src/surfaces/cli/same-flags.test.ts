import { expect, test } from 'vitest';
import type { Finding } from '../../model/finding.ts';
import { sameFlags, withSameFlags } from './same-flags.ts';

test('a printed command of Holdfast has the flags by which this one has found it, and others stay', () => {
  const flags = sameFlags({
    host: 'podman',
    stateDir: '/srv/my state',
    format: 'json',
    passwordCommand: 'echo secret',
    yes: true,
    quiet: true,
  });
  expect(flags).toEqual(['--state-dir', '/srv/my state', '--host', 'podman']);
  const commands = [
    ['holdfast', 'doctor', 'app', '--fix'],
    ['docker', 'restart', 'app'],
  ];
  const report = { looked: 1, findings: [{ id: 'HF-D001', commands } as unknown as Finding] };
  expect(withSameFlags(report, flags)).toMatchObject({
    looked: 1,
    findings: [{ commands: [['holdfast', ...flags, 'doctor', 'app', '--fix'], commands[1]] }],
  });
  expect(withSameFlags(report, [])).toBe(report);
});
