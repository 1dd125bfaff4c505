import type { Finding } from '../../model/finding.ts';
import type { GlobalFlags } from './global-flags.ts';

/** Of these a command that is printed needs those that this one was given, to find what this one has found. */
const names = {
  repo: '--repo',
  stateDir: '--state-dir',
  config: '--config',
  host: '--host',
  // A command for the password may hold it, and findings go into reports and mails.
  passwordFile: '--password-file',
} as const;

/** The flags of a command line that say where to look; pure. */
export function sameFlags(flags: GlobalFlags): string[] {
  return Object.entries(names).flatMap(([key, name]) => {
    const value = flags[key as keyof typeof names];
    return value === undefined ? [] : [name, value];
  });
}

/** A report whose commands of Holdfast look where this one has looked; pure. */
export function withSameFlags<Report extends { readonly findings: readonly Finding[] }>(
  report: Report,
  flags: readonly string[],
): Report {
  if (flags.length === 0) return report;
  const findings = report.findings.map((finding) => ({
    ...finding,
    commands: finding.commands.map(([program = '', ...args]) =>
      program === 'holdfast' ? [program, ...flags, ...args] : [program, ...args],
    ),
  }));
  return { ...report, findings };
}
