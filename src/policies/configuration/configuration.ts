import { isScalar, isSeq } from 'yaml';
import path from 'node:path';
import { AppError } from '../../model/errors.ts';
import { compileGlob } from '../../model/glob.ts';
import { type ListenAddress, parseAddress } from '../../lib/listen-address.ts';
import { channelsShape, type Channel } from '../../activity/index.ts';
import type { DataCheck, Policy, Schedule, Selection } from '../../model/policy.ts';
import {
  anyText,
  converted,
  either,
  fields,
  flag,
  mapOf,
  oneOf,
  oneOrMore,
  type Read,
  type Shape,
  text,
  wholeNumber,
} from '../../lib/shape.ts';
import {
  layered,
  noSettings,
  schedulePattern,
  settingFields,
  settingsOf,
  type VolumeSettings,
} from '../../backup/index.ts';
import type { ConfiguredRepository } from '../../repositories/index.ts';

/** The content of `holdfast.yaml`. */
export interface Configuration {
  readonly host: 'auto' | 'docker' | 'podman' | 'embedded' | undefined;
  /** The default repository, by name or location. */
  readonly repository: string | undefined;
  readonly repositories: ReadonlyMap<string, ConfiguredRepository>;
  readonly defaults: VolumeSettings;
  readonly policies: readonly Policy[];
  /** The channels that get notifications. */
  readonly notify: readonly Channel[];
  readonly parallel: number;
  /** Where the daemon serves metrics. */
  readonly metrics: { readonly listen: ListenAddress; readonly forAll: boolean } | undefined;
}

export const emptyConfiguration: Configuration = {
  host: undefined,
  repository: undefined,
  repositories: new Map(),
  defaults: noSettings,
  policies: [],
  notify: [],
  parallel: 2,
  metrics: undefined,
};

const secret = text(
  (reference) => {
    if (/^(file|env|exec):./.test(reference)) return reference;
    throw new AppError('usage', 'must be a reference: file:/PATH, env:NAME or exec:COMMAND');
  },
  { pattern: '^(file|env|exec):.', description: 'file:/PATH, env:NAME or exec:COMMAND' },
);

const optionValue: Shape<string> = either(
  anyText,
  converted(
    either(
      flag,
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
      (node) => isScalar(node) && typeof node.value === 'boolean',
    ),
    String,
  ),
  (node) => isScalar(node) && typeof node.value === 'string',
);

const repository = converted(
  fields({ location: anyText, password: secret, options: mapOf(optionValue) }, { required: ['location'] }),
  ({ location, password, options }): ConfiguredRepository => ({
    location: location ?? '',
    passwordReference: password,
    options: options && Object.fromEntries(options),
  }),
);

const glob = text((pattern) => {
  compileGlob(pattern, pattern);
  return pattern;
});

const absolutePath = text(
  (value) => {
    if (path.isAbsolute(value)) return path.normalize(value).replace(/(?<=.)\/$/, '');
    throw new AppError('usage', 'must be an absolute path');
  },
  { pattern: '^/' },
);

const listenAddress = text(parseAddress, {
  pattern: '^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+|localhost):[0-9]{1,5}$',
  description: 'A number and a port: 127.0.0.1:9464',
});

const percent = converted(
  either(
    wholeNumber(1, 100),
    text((value) => value, { pattern: '^(100|[1-9][0-9]?)%$' }),
    (node) => isScalar(node) && typeof node.value === 'number',
  ),
  (value) => {
    const number =
      typeof value === 'number' ? value : Number(/^(100|[1-9]\d?)%$/.exec(value)?.[1] ?? Number.NaN);
    if (Number.isNaN(number)) throw new AppError('usage', 'must be a percentage from 1% to 100%');
    return number;
  },
);

interface GivenCheck {
  readonly patterns: readonly string[];
  readonly percent: number | undefined;
}

const patterns = oneOrMore(schedulePattern);

function isPlain(node: unknown): boolean {
  return isScalar(node) || isSeq(node);
}

/** A schedule, alone or with a percentage of data to read; `never`. */
const dataCheck: Shape<GivenCheck> = either(
  converted(patterns, (given): GivenCheck => ({ patterns: given, percent: undefined })),
  converted(
    fields({ schedule: patterns, 'read-data': percent }, { required: ['schedule'] }),
    (given): GivenCheck => ({ patterns: given.schedule ?? [], percent: given['read-data'] }),
  ),
  isPlain,
);

const schedulesOrNever: Shape<readonly string[]> = either(
  converted(oneOf(['never']), () => []),
  patterns,
  (node) => isScalar(node) && node.value === 'never',
);

const policyFields = {
  everything: flag,
  volumes: oneOrMore(glob),
  stacks: oneOrMore(anyText),
  containers: oneOrMore(glob),
  'bind-mounts': flag,
  labels: oneOrMore(anyText),
  paths: oneOrMore(absolutePath),
  except: oneOrMore(glob),
  ...settingFields,
  prune: schedulesOrNever,
  check: dataCheck,
  verify: dataCheck,
  drill: patterns,
} as const;

type GivenPolicy = Read<typeof policyFields>;

const policy: Shape<GivenPolicy> = converted(fields(policyFields), (given) => {
  const { everything, stacks, containers, volumes, labels, paths } = given;
  const isNarrow = [volumes, labels, paths].some((names) => names !== undefined);
  if (given['bind-mounts'] === true && isNarrow && everything !== true && !stacks && !containers)
    throw new AppError(
      'usage',
      '"bind-mounts" says nothing here: it goes with "stacks", "everything", or a policy that names nothing',
    );
  return given;
});

const policyName = {
  pattern: '^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$',
  problem: 'is no name for a policy: use letters, digits, "-" and "_"',
};

const document = fields({
  host: oneOf(['auto', 'docker', 'podman', 'embedded']),
  repository: anyText,
  repositories: mapOf(repository, {
    ...policyName,
    problem: 'is no name for a repository: use letters, digits, "-" and "_"',
  }),
  defaults: fields(settingFields),
  policies: mapOf(policy, policyName),
  notify: channelsShape,
  daemon: fields({
    parallel: wholeNumber(1, 64),
    metrics: fields({ listen: listenAddress, 'for-all': flag }, { required: ['listen'] }),
  }),
});

/** The whole of `holdfast.yaml`. */
export const configurationShape: Shape<Configuration> = converted(document, (given): Configuration => {
  const defaults = given.defaults === undefined ? noSettings : settingsOf(given.defaults);
  return {
    host: given.host,
    repository: given.repository,
    repositories: given.repositories ?? new Map(),
    defaults,
    policies: [...(given.policies ?? [])].map(([name, request]) => policyOf(name, request, defaults)),
    notify: given.notify ?? [],
    parallel: given.daemon?.parallel ?? emptyConfiguration.parallel,
    metrics: given.daemon?.metrics?.listen && {
      listen: given.daemon.metrics.listen,
      forAll: given.daemon.metrics['for-all'] ?? false,
    },
  };
});

function policyOf(name: string, given: GivenPolicy, defaults: VolumeSettings): Policy {
  const settings = layered(settingsOf(given), defaults);
  const schedule = (patternsGiven: readonly string[] | undefined): Schedule | undefined =>
    patternsGiven === undefined || patternsGiven.length === 0
      ? undefined
      : { patterns: patternsGiven, timeZone: settings.timeZone };
  const check = (request: GivenCheck | undefined, usual: number): DataCheck | undefined => {
    const times = schedule(request?.patterns);
    return times && { schedule: times, percent: request?.percent ?? usual };
  };
  return {
    ...basics(name, settings),
    select: selectionOf(given),
    schedule: schedule(settings.schedule),
    prune:
      given.prune === undefined && settings.keep !== undefined
        ? schedule(['0 5 * * 0'])
        : schedule(given.prune),
    check: check(given.check, 0),
    verify: check(given.verify, 100),
    drill: schedule(given.drill),
  };
}

function basics(
  name: string,
  settings: VolumeSettings,
): Omit<Policy, 'select' | 'schedule' | 'prune' | 'check' | 'verify' | 'drill'> {
  return {
    name,
    jitterMs: settings.jitterMs ?? 0,
    catchUp: settings.catchUp ?? true,
    consistency: settings.consistency ?? 'auto',
    maxStillMs: settings.maxStillMs,
    stillTries: settings.stillTries,
    preset: settings.preset,
    dump: settings.dump,
    hooks: settings.hooks ?? [],
    excludes: settings.excludes ?? [],
    tags: settings.tags ?? [],
    keep: settings.keep,
    repositories: settings.repositories ?? [''],
  };
}

function selectionOf(given: GivenPolicy): Selection {
  return {
    everything: given.everything ?? false,
    volumes: given.volumes ?? [],
    stacks: given.stacks ?? [],
    containers: given.containers ?? [],
    bindMounts: given['bind-mounts'] ?? false,
    labels: given.labels ?? [],
    paths: given.paths ?? [],
    except: given.except ?? [],
  };
}
