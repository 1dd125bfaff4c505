import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';

export interface VariablesRequest {
  /** Where the repository is or will be. */
  readonly location: string;
  /** Of its store: what an option gives needs no variable, unless the option refers to one. */
  readonly options: Readonly<Record<string, string>>;
  /** The password reference; undefined for a key that is made. */
  readonly passwordReference?: string | undefined;
  /** Of this shell. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The content of the service's own file of variables; '' when there is none. */
  readonly kept: string;
}

/** The variables that each kind of store reads, and the options that replace them. */
const stores = [
  {
    scheme: 's3:',
    variables:
      /^AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|PROFILE|SHARED_CREDENTIALS_FILE|CONFIG_FILE)$/,
    options: ['access-key-id', 'profile'],
  },
  { scheme: 'rest:', variables: /^RESTIC_REST_(?:USERNAME|PASSWORD)$/, options: ['password'] },
  { scheme: 'rclone:', variables: /^RCLONE_CONFIG/, options: [] },
];

/**
 * The variables that open the repository here and that a service, which has none of this shell's, would lack.
 * Pure.
 */
export function missingVariables(request: VariablesRequest): string[] {
  const { location, options, env, kept, passwordReference = '' } = request;
  const store = stores.find(({ scheme }) => location.startsWith(scheme));
  const isNamed = store?.options.some((name) => options[name] !== undefined) === true;
  const taken = isNamed ? [] : Object.keys(env).filter((name) => store?.variables.test(name) && env[name]);
  const referred = [...Object.values(options), passwordReference].flatMap(
    (value) => /^env:(\w+)$/.exec(value)?.[1] ?? [],
  );
  const known = new Set([...kept.matchAll(/^[ \t]*(\w+)=/gm)].map(([, name]) => name));
  return [...new Set([...taken, ...referred])].filter((name) => !known.has(name)).toSorted();
}

/** Manual backups would work, and the service's would all fail. */
export function missingVariablesError(names: readonly string[], file: string): AppError {
  return new AppError('usage', `A service does not have ${names.join(', ')} of this shell`, {
    hint: `Write what the repository needs into ${quote(file)} (mode 0600), a line NAME=VALUE each, and run setup again. Or give references with --option, as in --option secret-access-key=file:/PATH; or --no-service.`,
  });
}
