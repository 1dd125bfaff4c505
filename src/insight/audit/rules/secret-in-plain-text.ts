import { quote } from '../../../model/quote.ts';
import { type AuditedService, type AuditView, nowhere, type Place } from '../audit-view.ts';
import { mountWords } from '../mount-words.ts';
import { hasPasswordInUrl, holdsSecret, isSlowHash } from '../secrets.ts';
import type { Alarm, Rule } from '../rule.ts';

export const secretInPlainText: Rule = {
  id: 'HF-S006',
  name: 'secret-in-plain-text',
  severity: 'leak',
  title: 'A secret is written in plain text',
  meaning:
    'It is read by all who can read the file, its history and its backups, or ask the engine: "docker inspect" shows it.',
  *check(view) {
    for (const service of view.services) {
      yield* inEnvironment(service);
      yield* inLabels(service);
      yield* inCommand(service);
    }
    yield* inOptions(view);
  },
};

/** The remedy never shows the value, and the message never does. */
const remedy =
  'Keep it in a file of its own, as a secret of Compose (NAME_FILE where the image knows it) or a variable of ".env", and change it: what was written down is known';

/**
 * Only what a Compose file itself says: a variable that the file takes from elsewhere is where it should be,
 * and each container has its variables.
 */
function* inEnvironment({ subject, key, environment }: AuditedService): Generator<Alarm> {
  for (const { name, value, place } of environment) {
    if (!holdsSecret(name, value) || !isWrittenThere(place, value)) continue;
    yield {
      subject,
      key: `${key} environment ${name}`,
      message: `${quote(subject.name)} has the secret ${quote(name)} in plain text`,
      evidence: ['Its value stands in the Compose file; it is not shown here.'],
      remedy,
      place,
    };
  }
}

function* inLabels({ subject, key, labels, place }: AuditedService): Generator<Alarm> {
  for (const [name, value] of Object.entries(labels)) {
    const isSecret = holdsSecret(name, value) || (/basicauth\.users$/i.test(name) && hasQuickHash(value));
    if (!isSecret || (place.position !== undefined && !isWrittenThere(labelPlace(place, name), value)))
      continue;
    yield {
      subject,
      key: `${key} label ${name}`,
      message: `${quote(subject.name)} has a secret in the label ${quote(name)}`,
      evidence: ['Labels are shown by every tool that lists containers; its value is not shown here.'],
      remedy,
      place: labelPlace(place, name),
    };
  }
}

/** `admin:$apr1$…`: words can be tried against it. */
function hasQuickHash(users: string): boolean {
  return users.split(',').some((user) => {
    const [, hash] = user.split(/:(.*)/s);
    return hash !== undefined && !isSlowHash(hash);
  });
}

function* inCommand({ subject, key, command, place }: AuditedService): Generator<Alarm> {
  const at = place.project === undefined ? place : below(place, 'command');
  let told = -1;
  for (const [index, word] of command.entries()) {
    // It was told as the value of the option before it.
    if (index === told) continue;
    const [flag = '', own] = word.split(/=(.*)/s);
    const value = own ?? command[index + 1] ?? '';
    const isOption = /^--?[a-z][\w-]*$/i.test(flag) && holdsSecret(flag.replace(/^-+/, ''), value);
    if (!isOption && !hasPasswordInUrl(word)) continue;
    if (isOption && own === undefined) told = index + 1;
    if (at.position !== undefined && !isWrittenThere(at, isOption ? value : word)) continue;
    const option = flag.replace(/:\/\/.*/s, '://…');
    yield {
      subject,
      key: `${key} command ${option}`,
      message: `${quote(subject.name)} has a secret in its command line`,
      evidence: [
        `The option ${quote(option)} has it: every user of the machine can read the command lines of processes.`,
      ],
      remedy,
      place: at,
    };
  }
}

function* inOptions({ volumes }: AuditView): Generator<Alarm> {
  for (const { name, options, place } of volumes) {
    const words = [
      ...mountWords(options),
      ...Object.entries(options).map(([key, value]) => `${key}=${value}`),
    ];
    const secret = words.find((word) => {
      const [key = '', value = ''] = word.split(/=(.*)/s);
      return (
        key !== 'o' &&
        /^(?:pass(?:word)?|.*secret.*|.*token)$/i.test(key) &&
        value !== '' &&
        !/^(?:file|env|exec):/.test(value)
      );
    });
    if (secret === undefined) continue;
    const at = below(place, 'driver_opts');
    if (at.position !== undefined && !isWrittenThere(at, secret.split(/=(.*)/s)[1] ?? '')) continue;
    yield {
      subject: { kind: 'volume', name },
      key: `${name} option ${secret.split('=')[0] ?? ''}`,
      message: `The options of the volume ${quote(name)} hold a password in plain text`,
      evidence: [
        `The option ${quote(secret.split('=')[0] ?? '')} has it; "docker volume inspect" shows it to all who may ask the engine.`,
      ],
      remedy:
        'Mount the share on the machine with a credentials file, or let Holdfast’s cifs driver read the password from a file',
      place: at,
    };
  }
}

/** False for a value that comes from a variable, or from a file of variables. */
function isWrittenThere({ project, position }: Place, value: string): boolean {
  if (project === undefined || position === undefined) return false;
  if (!project.project.files.includes(position.file) && !/\.ya?ml$/i.test(position.file)) return false;
  // A block of several lines begins somewhere above: there the value itself has to be looked for.
  const raw = project.lineAt(position);
  // "$$" is a dollar, as in a hash of Traefik's basic authentication.
  const line = raw?.replaceAll('$$', '$');
  return (
    line === undefined ||
    !/\$\{?[A-Za-z_]/.test(raw?.replaceAll('$$', '') ?? '') ||
    (value.length > 3 && line.includes(value) && !line.includes(`-${value}`))
  );
}

function labelPlace(place: Place, name: string): Place {
  return below(place, 'labels', name);
}

function below({ project, path, position }: Place, ...keys: readonly string[]): Place {
  if (project === undefined || path === undefined) return nowhereIn({ project, path, position });
  const full = [...path, ...keys];
  return { project, path: full, position: project.project.positionOf(full) };
}

function nowhereIn(place: Place): Place {
  return place.position === undefined ? nowhere : place;
}
