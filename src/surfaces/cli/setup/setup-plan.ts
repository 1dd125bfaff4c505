import { quote } from '../../../model/quote.ts';
import {
  type ConfigurationRequest,
  channelsText,
  configurationText,
  policyText,
} from './configuration-text.ts';
import type { ChannelSpec } from './notify-spec.ts';

/** The state before setup. */
export interface SetupFacts {
  readonly host: { readonly kind: string; readonly endpoint: string; readonly version: string };
  readonly volumes: number;
  /** Sources of bind mounts that hold data. */
  readonly bindMounts: readonly string[];
  readonly repositories: readonly {
    readonly name: string;
    readonly location: string;
    readonly isDefault: boolean;
  }[];
  readonly configuration: {
    /** The existing file; undefined for none. */
    readonly file: string | undefined;
    /** Where a new one would be made. */
    readonly newFile: string;
    readonly policies: readonly {
      readonly name: string;
      readonly isScheduled: boolean;
      /** By name or location; '' is the default one. */
      readonly repositories: readonly string[];
    }[];
    readonly channels: readonly string[];
  };
  /** Undefined when none is requested. */
  readonly service: ServiceFacts | undefined;
  /** A place with data on the repository's disk, for display. */
  readonly sharesDiskWith: string | undefined;
}

export interface ServiceFacts {
  readonly path: string;
  /** Undefined when systemd does not run the machine. */
  readonly state:
    | { readonly active: string; readonly isEnabled: boolean; readonly isCurrent: boolean }
    | undefined;
  /** The unit that exists already; undefined for none. */
  readonly installed?:
    | {
        /** Holdfast may replace it. */
        readonly isOwn: boolean;
        /** When its daemon's settings differ from the requested ones: both, as in the units. */
        readonly otherSettings: { readonly now: string; readonly wanted: string } | undefined;
      }
    | undefined;
  /** The command that starts the daemon by hand. */
  readonly command: string;
  /** Variables of this shell without which the service could not open the repository. */
  readonly missingVariables: readonly string[];
  /** The service's file of variables. */
  readonly variablesFile: string;
}

export interface SetupRequest {
  /** Absolute, or an address; undefined is the existing default repository. */
  readonly repository: string | undefined;
  readonly schedule: string;
  readonly channels: readonly ChannelSpec[];
}

export type SetupStep =
  | { readonly kind: 'repository'; readonly location: string }
  | { readonly kind: 'configuration'; readonly file: string; readonly text: string }
  | { readonly kind: 'service'; readonly path: string }
  | { readonly kind: 'notify' }
  | { readonly kind: 'backup' };

export interface SetupPlan {
  /** In order; a completed step is not among them. */
  readonly steps: readonly SetupStep[];
  /** What exists and is kept, for display. */
  readonly stays: readonly string[];
  readonly warnings: readonly string[];
}

/** The steps of setup; pure. Replaces or rewrites nothing that exists. */
export function planSetup(facts: SetupFacts, request: SetupRequest): SetupPlan {
  const parts = [
    planRepository(facts, request),
    planConfiguration(facts, request),
    planService(facts.service),
  ];
  return {
    steps: [...parts.flatMap(({ steps }) => steps), { kind: 'backup' }],
    stays: parts.flatMap(({ stays }) => stays),
    warnings: parts.flatMap(({ warnings }) => warnings),
  };
}

const nothing: SetupPlan = { steps: [], stays: [], warnings: [] };

function planRepository(
  { repositories, sharesDiskWith }: SetupFacts,
  { repository }: SetupRequest,
): SetupPlan {
  const known = findRepository(repositories, repository);
  const location = known?.location ?? repository ?? '';
  const warnings =
    sharesDiskWith === undefined
      ? []
      : [
          `The repository ${quote(location)} is on the same disk as ${sharesDiskWith}: when that disk dies, the backups die with it. Better is another disk or machine, or a second repository there.`,
        ];
  if (known === undefined) return { ...nothing, steps: [{ kind: 'repository', location }], warnings };
  return { ...nothing, stays: [`the repository ${quote(location)}`], warnings };
}

function planConfiguration({ configuration, repositories }: SetupFacts, request: SetupRequest): SetupPlan {
  const { file, newFile, policies, channels } = configuration;
  const toWrite: ConfigurationRequest = { ...request, repository: repositoryOfPolicy(repositories, request) };
  if (file === undefined) {
    const write = { kind: 'configuration', file: newFile, text: configurationText(toWrite) } as const;
    return {
      ...nothing,
      steps: [write, ...(request.channels.length === 0 ? [] : [{ kind: 'notify' } as const])],
    };
  }
  const unused = toWrite.repository;
  const isUsed =
    unused === undefined ||
    namesOf(repositories, unused).some((name) => policies.some((one) => one.repositories.includes(name)));
  const isScheduled = policies.some((one) => one.isScheduled);
  const warnings = [
    ...(isScheduled
      ? []
      : [
          `No policy in ${quote(file)} has a schedule, so nothing is backed up by itself. Add this:\n\n${policyText(toWrite)}`,
        ]),
    ...(isUsed || !isScheduled
      ? []
      : [
          `No policy in ${quote(file)} backs up to ${quote(unused)}: all of it goes where it went before. To change that, give a policy "repositories:".`,
        ]),
    ...(request.channels.length === 0 || channels.length > 0
      ? []
      : [`${quote(file)} names no channel. Add this:\n\n${channelsText(request.channels)}`]),
  ];
  return { ...nothing, stays: [`the configuration ${quote(file)}`], warnings };
}

/** Undefined when it is the default one. */
function repositoryOfPolicy(
  repositories: SetupFacts['repositories'],
  { repository }: SetupRequest,
): string | undefined {
  const known = findRepository(repositories, repository);
  if (known !== undefined) return known.isDefault ? undefined : known.name;
  return repositories.some(({ isDefault }) => isDefault) ? repository : undefined;
}

function namesOf(repositories: SetupFacts['repositories'], wanted: string): string[] {
  const known = findRepository(repositories, wanted);
  return known === undefined ? [wanted] : [known.name, known.location];
}

/** By name or location; the default one without a request. */
export function findRepository<T extends SetupFacts['repositories'][number]>(
  repositories: readonly T[],
  wanted: string | undefined,
): T | undefined {
  return wanted === undefined
    ? repositories.find(({ isDefault }) => isDefault)
    : repositories.find(({ name, location }) => name === wanted || location === wanted);
}

function planService(service: ServiceFacts | undefined): SetupPlan {
  if (service === undefined) return nothing;
  const { path, state, command, installed } = service;
  if (state === undefined) {
    const warning = `systemd does not run this machine, so no service is installed. Have this started with the machine by what starts services here, and kept running:\n\n  ${command}\n`;
    return { ...nothing, warnings: [warning] };
  }
  if (installed?.isOwn === false) {
    const warning = `The unit ${quote(path)} was not made by this Holdfast, and stays as it is. To have it replaced, move it away with what you have changed in it ("systemctl edit holdfast" is the place for that), and run setup again.`;
    return { ...nothing, stays: [`the service ${quote(path)}`], warnings: [warning] };
  }
  const isDone = state.isCurrent && state.isEnabled && state.active === 'active';
  if (isDone) return { ...nothing, stays: [`the service ${quote(path)}, which runs`] };
  const other = installed?.otherSettings;
  const warnings =
    other === undefined
      ? []
      : [
          `The service runs with "${other.now}", and would run with "${other.wanted}" instead: what it does now would be done no more.`,
        ];
  return { ...nothing, steps: [{ kind: 'service', path }], warnings };
}
