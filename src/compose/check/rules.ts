import type { Finding, FindingSubject, Position, Severity } from '../../model/finding.ts';

interface Rule {
  /** Stable, and never used again. */
  readonly id: string;
  readonly severity: Severity;
  readonly meaning: string;
}

/** All that `compose check` can find. The guide has a row for each. */
export const checkRules = {
  refused: {
    id: 'HF-C001',
    severity: 'downtime',
    meaning: 'Compose refuses the project: nothing of it starts.',
  },
  'compose-warning': {
    id: 'HF-C002',
    severity: 'hygiene',
    meaning: 'Compose says it too, and goes on.',
  },
  'undefined-volume': {
    id: 'HF-C003',
    severity: 'downtime',
    meaning:
      'Compose refuses a service whose volume the file does not declare: nothing of the project starts.',
  },
  'invalid-mount': {
    id: 'HF-C004',
    severity: 'downtime',
    meaning: 'Compose or the engine refuses this mount, so the service does not start.',
  },
  'duplicate-target': {
    id: 'HF-C005',
    severity: 'downtime',
    meaning:
      'Only one of the two can be there: Compose drops the first of them in silence, or refuses the project, or the engine refuses the container.',
  },
  'external-conflict': {
    id: 'HF-C006',
    severity: 'downtime',
    meaning:
      'Compose does not make an external volume, so it refuses a driver, options or labels for it, and the project with it.',
  },
  'missing-external-volume': {
    id: 'HF-C007',
    severity: 'downtime',
    meaning: 'Compose does not make external volumes: "up" fails until it exists.',
  },
  'missing-device': {
    id: 'HF-C008',
    severity: 'downtime',
    meaning:
      'The engine makes no folder for a volume that binds one: "up" fails when the container is to start.',
  },
  'relative-device': {
    id: 'HF-C009',
    severity: 'downtime',
    meaning:
      'Compose makes a relative device absolute only for "driver: local" with "o: bind" and nothing else in "o"; otherwise the engine looks for it in its own folder.',
  },
  'missing-bind-source': {
    id: 'HF-C010',
    severity: 'downtime',
    meaning:
      '"up" makes an empty folder in its place that belongs to root: a service that runs as another user cannot write to it, and finds none of the data that was meant.',
  },
  'folder-for-file': {
    id: 'HF-C011',
    severity: 'downtime',
    meaning:
      'A file is meant, and "up" makes a folder of that name: the service cannot start, or goes without its configuration, and the folder stays in the way of the file.',
  },
  'missing-source': {
    id: 'HF-C012',
    severity: 'downtime',
    meaning: 'Nothing is made in its place: "up" fails.',
  },
  'changed-volume': {
    id: 'HF-C013',
    severity: 'loss',
    meaning:
      'Newer versions of Compose ask whether to make the volume anew, which deletes its data; with "-y" they do not ask. Older ones go on with the volume as it is, so that what the file says does not hold.',
  },
  'foreign-volume': {
    id: 'HF-C014',
    severity: 'hygiene',
    meaning: 'Compose uses it all the same and says so; "down -v" removes it, whatever else it is used for.',
  },
  'mount-over-mount': {
    id: 'HF-C015',
    severity: 'hygiene',
    meaning:
      'What the outer mount has at that path is hidden, and the engine leaves an empty folder or file in it for the inner one.',
  },
  'mount-in-read-only': {
    id: 'HF-C016',
    severity: 'downtime',
    meaning:
      'The engine cannot make the place for the inner mount in one that is read-only: unless the path is there already, the container does not start.',
  },
  'unused-volume': {
    id: 'HF-C017',
    severity: 'hygiene',
    meaning:
      'Compose does not make a volume that no service mounts: data that was meant to be in it is elsewhere.',
  },
  'obsolete-version': {
    id: 'HF-C018',
    severity: 'hygiene',
    meaning: 'Compose ignores it, and says so at each start.',
  },
  'invalid-settings': {
    id: 'HF-C019',
    severity: 'loss',
    meaning:
      'Settings of Holdfast that cannot be read do not count: a backup or a policy that was meant here does not take place as written.',
  },
  'unencrypted-volume': {
    id: 'HF-C020',
    severity: 'leak',
    meaning:
      'Compose makes the volume itself, as its "driver" and "driver_opts" say, and knows nothing of "x-holdfast": the data would lie there unencrypted.',
  },
  'ignored-mode': {
    id: 'HF-C021',
    severity: 'leak',
    meaning:
      'Compose drops words after the second colon that it does not know: a mount that was meant to be read-only is writable.',
  },
  'folder-in-the-way': {
    id: 'HF-C023',
    severity: 'downtime',
    meaning:
      'A file is meant, and an earlier "up" has made a folder of that name: the service cannot start, or goes without its configuration.',
  },
  'refused-volume': {
    id: 'HF-C024',
    severity: 'downtime',
    meaning: 'Compose takes it, and the engine refuses to make the volume: "up" fails.',
  },
  'refused-image': {
    id: 'HF-C026',
    severity: 'downtime',
    meaning: 'Compose takes it, and the engine refuses to look for the image: "up" fails.',
  },
  'unset-variable': {
    id: 'HF-C025',
    severity: 'loss',
    meaning:
      'Compose takes an unset variable for nothing: "${DATA}/db" becomes "/db", so that the data lies elsewhere, and elsewhere again once the variable is set.',
  },
  'unknown-policy': {
    id: 'HF-C022',
    severity: 'loss',
    meaning: 'A policy that does not exist saves nothing.',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type CheckRule = keyof typeof checkRules;

interface FindingDetails {
  readonly subject: FindingSubject;
  readonly message: string;
  readonly remedy: string;
  readonly evidence?: readonly string[];
  readonly commands?: readonly (readonly string[])[];
  readonly position: Position | undefined;
}

export function findingOf(rule: CheckRule, details: FindingDetails): Finding {
  const { id, severity, meaning } = checkRules[rule];
  return { id, rule, severity, meaning, evidence: [], commands: [], ...details };
}
