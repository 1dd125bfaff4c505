import { expect, test } from 'vitest';
import type { AuditFinding } from '../../app/app.ts';
import { describeFindings } from './describe-findings.ts';

function unsaved(name: string): AuditFinding {
  return {
    ...{ id: 'HF-B001', rule: 'no-policy', severity: 'loss', subject: { kind: 'volume', name } },
    ...{
      message: `No policy covers the volume "${name}"`,
      meaning: 'It is lost.',
      evidence: ['Never saved.'],
    },
    ...{ remedy: 'Add it', commands: [['holdfast', 'coverage']], position: undefined },
    ...{ fingerprint: name, guide: 'guide.md' },
  };
}

const names = Array.from({ length: 200 }, (_, index) => `stack_volume-${index}`);

test('two hundred volumes without a policy are one finding that names each of them', () => {
  const [text = '', ...others] = describeFindings(names.map(unsaved));
  expect(others).toEqual([]);
  for (const name of names) expect(text).toContain(`"${name}"`);
  expect(text.split('\n').length).toBeLessThan(60);
  expect(text).toMatch(
    /^HF-B001 no-policy \(loss\) {2}200 volumes\n {2}It is lost\.\n {2}No policy covers the volume …:\n/,
  );
});

test('two of one rule are told one by one, with what shows them', () => {
  const told = describeFindings(names.slice(0, 2).map(unsaved));
  expect(told).toHaveLength(2);
  expect(told[0]).toContain('    - Never saved.');
});

test('commands that differ are not all printed', () => {
  const many = names.map((name) => ({ ...unsaved(name), commands: [['chown', name]] }));
  expect(describeFindings(many).join('')).toContain('    … and 197 more: "--format json" has each.\n');
});
