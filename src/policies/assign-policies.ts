import { compileGlob, matchesGlob } from '../model/glob.ts';
import { layered, type VolumeSettings } from '../backup/index.ts';
import { coversRest, type Policy, type Selection } from '../model/policy.ts';
import { isSavedWith, type Subject } from './subject.ts';

/** A policy as it applies to one volume, with that volume's labels merged in. */
export interface Assignment {
  readonly subject: Subject;
  readonly policy: Policy;
  /** Why the policy applies, for display. */
  readonly reason: string;
}

export interface PolicyRules {
  readonly policies: readonly Policy[];
  readonly defaults: VolumeSettings;
}

/** The policy name of volumes whose only schedule is in their labels. */
export const labelPolicy = 'labels';

/**
 * Which policies apply to which volumes and directories; pure. A volume whose labels name policies has only
 * those. A policy without targets has all volumes that no other policy names.
 */
export function assignPolicies(rules: PolicyRules, subjects: readonly Subject[]): Assignment[] {
  const all = subjects
    .filter(({ skipped }) => skipped === undefined)
    .flatMap((subject) => assignmentsOf(rules, subject));
  return all.filter((one) => !isSavedWithAnother(one, all));
}

/**
 * A bind mount in a directory that the same policy saves is in that directory's snapshots. One that the
 * policy names is kept: the user meant it.
 */
function isSavedWithAnother({ subject, policy }: Assignment, all: readonly Assignment[]): boolean {
  if (subject.kind !== 'path' || policy.select.paths.includes(subject.name)) return false;
  return all.some(
    (other) =>
      other.policy.name === policy.name && other.subject !== subject && isSavedWith(subject, other.subject),
  );
}

/** Policies that labels name and that do not exist. */
export function unknownPolicies(rules: PolicyRules, subject: Subject): string[] {
  return (subject.policies ?? []).filter((name) => !rules.policies.some((policy) => policy.name === name));
}

function assignmentsOf(rules: PolicyRules, subject: Subject): Assignment[] {
  const found = policiesFor(rules, subject);
  const all = found.length > 0 ? found : byLabelsAlone(rules, subject);
  return all.map(({ policy, reason }) => ({
    subject,
    reason,
    policy: withSettings(policy, subject.settings),
  }));
}

type Reasoned = Omit<Assignment, 'subject'>;

function policiesFor({ policies }: PolicyRules, subject: Subject): Reasoned[] {
  const named = subject.policies;
  const isPath = subject.kind === 'path';
  const byPath = policies.filter(({ select }) => isPath && select.paths.includes(subject.name));
  if (byPath.length > 0) return byPath.map((policy) => ({ policy, reason: 'it is named' }));
  // A container's label applies a policy to its bind mounts only if the policy takes bind mounts.
  const known = policies.filter(
    ({ name, select }) => named?.includes(name) && (!isPath || select.bindMounts),
  );
  // A name of no policy must not leave the volume without any.
  if (known.length > 0) return known.map((policy) => ({ policy, reason: 'its label names it' }));
  const chosen = policies.flatMap((policy): Reasoned[] => {
    const reason = reasonFor(policy.select, subject);
    return reason === undefined ? [] : [{ policy, reason }];
  });
  if (chosen.some(({ policy }) => !policy.select.everything)) return chosen;
  const rest = policies.filter(
    ({ select }) =>
      coversRest(select) && (!isPath || isWantedMount(select, subject)) && !isExcepted(select, subject),
  );
  return [...chosen, ...rest.map((policy) => ({ policy, reason: 'no other policy names it' }))];
}

function reasonFor(select: Selection, subject: Subject): string | undefined {
  const { kind, name, stack, containers, labels } = subject;
  if (isExcepted(select, subject)) return undefined;
  const container = containers.find((one) => select.containers.some((glob) => matches(glob, one)));
  if (container !== undefined) return `the container "${container}" mounts it`;
  if (kind === 'path' && !isWantedMount(select, subject)) return undefined;
  const pattern = kind === 'volume' ? select.volumes.find((glob) => matches(glob, name)) : undefined;
  if (pattern !== undefined) return pattern === name ? 'it is named' : `its name matches "${pattern}"`;
  if (stack !== undefined && select.stacks.includes(stack)) return `it belongs to the stack "${stack}"`;
  const label = select.labels.find((wanted) => hasLabel(labels, wanted));
  if (label !== undefined) return `it has the label "${label}"`;
  return select.everything ? 'the policy is about everything' : undefined;
}

function isWantedMount({ bindMounts }: Selection, { containers }: Subject): boolean {
  return bindMounts && containers.length > 0;
}

function isExcepted({ except }: Selection, { name }: Subject): boolean {
  return except.some((glob) => matches(glob, name));
}

function matches(glob: string, name: string): boolean {
  return matchesGlob(compileGlob(glob, glob), name);
}

function hasLabel(labels: Subject['labels'], wanted: string): boolean {
  const equals = wanted.indexOf('=');
  if (equals < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1);
}

const nothingSelected: Selection = {
  everything: false,
  volumes: [],
  stacks: [],
  containers: [],
  bindMounts: false,
  labels: [],
  paths: [],
  except: [],
};

/** A schedule in a label is a request for backups, whichever policies exist. */
function byLabelsAlone({ defaults }: PolicyRules, { kind, settings }: Subject): Reasoned[] {
  if (settings.schedule === undefined || kind === 'path') return [];
  const all = layered(settings, defaults);
  const { excludes, tags, keep, repositories, jitterMs, catchUp, consistency, preset, dump, hooks } = all;
  return [
    {
      reason: 'its labels have a schedule',
      policy: {
        name: labelPolicy,
        select: nothingSelected,
        schedule: undefined,
        jitterMs: jitterMs ?? 0,
        catchUp: catchUp ?? true,
        consistency: consistency ?? 'auto',
        maxStillMs: all.maxStillMs,
        stillTries: all.stillTries,
        preset,
        dump,
        hooks: hooks ?? [],
        excludes: excludes ?? [],
        tags: tags ?? [],
        keep,
        repositories: repositories ?? [''],
        prune: keep && { patterns: ['0 5 * * 0'], timeZone: defaults.timeZone },
        check: undefined,
        verify: undefined,
        drill: undefined,
      },
    },
  ];
}

function withSettings(policy: Policy, settings: VolumeSettings): Policy {
  const timeZone = settings.timeZone ?? policy.schedule?.timeZone;
  const patterns = settings.schedule ?? policy.schedule?.patterns;
  return {
    ...policy,
    schedule: patterns && { patterns, timeZone },
    jitterMs: settings.jitterMs ?? policy.jitterMs,
    catchUp: settings.catchUp ?? policy.catchUp,
    consistency: settings.consistency ?? policy.consistency,
    maxStillMs: settings.maxStillMs ?? policy.maxStillMs,
    stillTries: settings.stillTries ?? policy.stillTries,
    preset: settings.preset ?? policy.preset,
    dump: settings.dump ?? policy.dump,
    hooks: settings.hooks ?? policy.hooks,
    excludes: settings.excludes ?? policy.excludes,
    tags: settings.tags ?? policy.tags,
    keep: settings.keep ?? policy.keep,
    repositories: settings.repositories ?? policy.repositories,
  };
}
