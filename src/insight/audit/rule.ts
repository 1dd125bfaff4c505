import type { FindingSubject, Severity } from '../../model/finding.ts';
import type { AuditView, Place } from './audit-view.ts';

/** One check, with all that is said of it in general. Pure: it reads the view and nothing else. */
export interface Rule {
  /** Stable, and never used again, even when the rule is gone. */
  readonly id: string;
  readonly name: string;
  readonly severity: Severity;
  /** What the rule looks for, as one sentence without a name. */
  readonly title: string;
  /** What it costs to leave it as it is. */
  readonly meaning: string;
  /** No data is lost, read by others or out of reach by it: silent unless all rules are asked for. */
  readonly onRequest?: true;
  check(view: AuditView): Iterable<Alarm>;
}

/** What a rule has found at one place. */
export interface Alarm {
  readonly subject: FindingSubject;
  /** Tells it from other alarms of its rule, in the file and on the host alike, whatever line it stands at. */
  readonly key: string;
  readonly message: string;
  readonly evidence: readonly string[];
  readonly remedy: string;
  readonly commands?: readonly (readonly string[])[];
  readonly place: Place;
}
