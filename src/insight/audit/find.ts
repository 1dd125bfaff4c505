import { createHash } from 'node:crypto';
import { severities } from '../../model/finding.ts';
import type { AuditFinding } from './audit-report.ts';
import type { AuditView } from './audit-view.ts';
import type { Alarm, Rule } from './rule.ts';

export interface Found {
  readonly rule: Rule;
  readonly alarm: Alarm;
  readonly finding: AuditFinding;
}

/** What the rules find in a view, the worst first, what file and host both show as one. Pure. */
export function find(view: AuditView, rules: readonly Rule[]): Found[] {
  const found = rules.flatMap((rule) => joined([...rule.check(view)]).map((alarm) => toFound(rule, alarm)));
  return found.toSorted((a, b) => {
    const worse = severities.indexOf(a.rule.severity) - severities.indexOf(b.rule.severity);
    return worse || (a.rule.id < b.rule.id ? -1 : a.rule.id > b.rule.id ? 1 : 0);
  });
}

/** The file’s alarm says where to mend it, the host’s adds what is there already. */
function joined(alarms: readonly Alarm[]): Alarm[] {
  const byKey = new Map<string, Alarm>();
  for (const alarm of alarms) {
    const first = byKey.get(alarm.key);
    if (first === undefined) {
      byKey.set(alarm.key, alarm);
      continue;
    }
    const [main, other] = first.place.position === undefined ? [alarm, first] : [first, alarm];
    // The commands are those of the remedy beside them.
    const helpful = [main, other].find(({ commands = [] }) => commands.length > 0) ?? main;
    byKey.set(alarm.key, {
      ...main,
      evidence: [...new Set([...main.evidence, ...other.evidence])],
      remedy: helpful.remedy,
      commands: helpful.commands ?? [],
    });
  }
  return [...byKey.values()];
}

function toFound(rule: Rule, alarm: Alarm): Found {
  const { id, name, severity, meaning } = rule;
  const { subject, message, evidence, remedy, commands = [], place, key } = alarm;
  const fingerprint = createHash('sha256').update(`${id}\n${key}`).digest('hex').slice(0, 32);
  const finding = {
    id,
    rule: name,
    severity,
    subject,
    message,
    meaning,
    evidence,
    remedy,
    commands,
    position: place.position,
    fingerprint,
    guide: `docs/guides/audit.md#${id.toLowerCase()}-${name}`,
  };
  return { rule, alarm, finding };
}
