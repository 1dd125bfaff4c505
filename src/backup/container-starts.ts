import type { Container } from '../hosts/containers.ts';
import { isAppError } from '../model/errors.ts';
import type { ContainerStart } from '../model/snapshot.ts';
import type { Consumer } from '../model/volume.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { JobOptions } from '../activity/index.ts';

/** How the consumers of a volume were started, for its record. Empty where no containers run. */
export async function containerStarts(
  { host }: HostAccess,
  consumers: readonly Consumer[],
  { signal }: JobOptions,
): Promise<{ readonly starts?: readonly ContainerStart[] }> {
  if (consumers.length === 0) return {};
  const { containers } = await host();
  if (containers === undefined) return {};
  const starts: ContainerStart[] = [];
  for (const { id } of consumers) {
    const container = await containers.find(id, { signal }).catch((error: unknown) => {
      // This only helps a drill, so it fails nothing.
      if (signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
    });
    if (container !== undefined) starts.push(startOf(container));
  }
  return starts.length === 0 ? {} : { starts };
}

/** Pure. */
export function startOf(container: Container): ContainerStart {
  const { name, image, command, entrypoint, user, environment, mounts } = container;
  const binds = mounts.flatMap(({ type, source, destination }) =>
    type === 'bind' && source !== undefined ? [{ source, destination }] : [],
  );
  const pairs = Object.entries(environment);
  const plain = pairs.filter(([key, text]) => !mayBeSecret(key, text));
  const said = [image.toLowerCase(), ...plain.map(([, text]) => text.toLowerCase())];
  const secrets = pairs
    .filter(([key, text]) => mayBeSecret(key, text) && text.length >= shortestSecret)
    .map(([, text]) => text)
    .filter((text) => !isSaidAnyway(text.toLowerCase(), said));
  return {
    name,
    command: withoutSecrets(command, secrets),
    entrypoint: withoutSecrets(entrypoint ?? [], secrets),
    user,
    environment: Object.fromEntries(plain),
    binds,
  };
}

const secretNames = /pass|pwd|secret|token|key|cred|auth|private|salt|signature|dsn|connection|session/i;

/** Decides by the name, or by a value with a login in it (`postgres://user:password@host`). */
function mayBeSecret(name: string, value: string): boolean {
  return secretNames.test(name) || /:\/\/[^/\s]*@/.test(value);
}

/** A shorter one occurs in many words by chance. */
const shortestSecret = 4;

/** A word such as `postgres`, `changeme` or `true` may be part of any other text. */
function isWord(text: string): boolean {
  return /^[a-z]{1,11}$/i.test(text);
}

/** Another variable's value is recorded anyway; a word of the image's name is probably the program's own. */
function isSaidAnyway(text: string, [image = '', ...values]: readonly string[]): boolean {
  if (values.includes(text)) return true;
  return isWord(text) && (['true', 'false', 'none', 'root'].includes(text) || image.includes(text));
}

function withoutSecret(text: string, secret: string): string {
  if (!isWord(secret)) return text.replaceAll(secret, '');
  return text.replaceAll(new RegExp(`(?<![\\w./-])${secret}(?![\\w./-])`, 'g'), '');
}

/** `pass`, `secret` and the like in an option's name, but not where it names a file or a storage method. */
const option =
  '--?[\\w.-]*(?:pass|pwd|secret|token|credential|masterauth|(?:api|access|private|encryption)[-_]?key|dsn)(?![\\w.-]*(?:file|path|encryption|policy|length|plugin))[\\w.-]*';
const value = `(?:"[^"]*"|'[^']*'|[^\\s"']\\S*)`;

const optionAlone = new RegExp(`^${option}$`, 'i');
const optionWithValue = new RegExp(`${option}(?:=|\\s+(?!-))${value}`, 'gi');
const assignment =
  /\b(\w*(?:pass|pwd|secret|token)(?!\w*(?:file|path|encryption|policy|length|plugin))\w*)=("[^"]*"|'[^']*'|\S+)/gi;
const login = /(:\/\/[^/\s:@]*):[^/\s@]*@/g;

/**
 * Removes secrets from a command: the values of password options, also inside a shell line, and values of
 * secret variables. The rest starts the same program; a drill does not need its password.
 */
function withoutSecrets(words: readonly string[], secrets: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (optionAlone.test(word)) {
      // An option without a value is a flag.
      if (words[index + 1]?.startsWith('-') === false) index++;
      else kept.push(word);
      continue;
    }
    const plain = secrets
      .reduce(withoutSecret, word)
      .replace(optionWithValue, '')
      .replace(assignment, '$1=')
      .replace(login, '$1@');
    if (plain !== '' || word === '') kept.push(plain);
  }
  return kept;
}
