/** What it costs to leave a finding as it is, the worst first. */
export const severities = ['loss', 'leak', 'downtime', 'hygiene'] as const;
export type Severity = (typeof severities)[number];

/** Where a value stands in a file; line and column begin at 1. */
export interface Position {
  /** Absolute. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface FindingSubject {
  readonly kind:
    | 'service'
    | 'container'
    | 'volume'
    | 'mount'
    | 'stack'
    | 'path'
    | 'policy'
    | 'repository'
    | 'host';
  readonly name: string;
}

/** Something that a check, an audit or the doctor has found, and what to do about it. */
export interface Finding {
  /** Of its rule: stable, and never used again (`HF-V001`). */
  readonly id: string;
  /** The rule's short name (`shadowed-data`). */
  readonly rule: string;
  readonly severity: Severity;
  readonly subject: FindingSubject;
  /** What was seen: one sentence, the thing's name in quotes. */
  readonly message: string;
  /** What it means for the data. */
  readonly meaning: string;
  /** Facts that show it, one line each. */
  readonly evidence: readonly string[];
  /** What to do, in one sentence. */
  readonly remedy: string;
  /** Commands that do it, as argument lists. */
  readonly commands: readonly (readonly string[])[];
  /** In a Compose file; undefined where none is known. */
  readonly position: Position | undefined;
}
