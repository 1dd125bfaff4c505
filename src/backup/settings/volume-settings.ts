import {
  type ConsistencyMode,
  consistencyModes,
  mostStillTries,
  parseMaxStill,
} from '../../model/consistency.ts';
import { parseSpan } from '../../model/calendar-span.ts';
import type { Hook } from '../../model/hook.ts';
import { parseDuration } from '../../model/duration.ts';
import { AppError } from '../../model/errors.ts';
import { compileExcludes } from '../../model/exclude.ts';
import { quote } from '../../model/quote.ts';
import { hasNoRules, type KeepRules } from '../../model/keep-rules.ts';
import { hooks } from './hooks-shape.ts';
import type { Keep } from '../../model/policy.ts';
import { openTimetable } from '../../lib/schedule.ts';
import {
  anyText,
  converted,
  either,
  fields,
  flag,
  listOf,
  oneOf,
  oneOrMore,
  type Shape,
  text,
  wholeNumber,
} from '../../lib/shape.ts';
import { isScalar } from 'yaml';

/** The settings of one volume in labels, in `x-holdfast` and for a policy. Undefined is not set. */
export interface VolumeSettings {
  readonly schedule: readonly string[] | undefined;
  readonly timeZone: string | undefined;
  readonly jitterMs: number | undefined;
  readonly catchUp: boolean | undefined;
  readonly consistency: ConsistencyMode | undefined;
  readonly maxStillMs: number | undefined;
  readonly stillTries: number | undefined;
  readonly preset: string | undefined;
  readonly dump: boolean | undefined;
  readonly hooks: readonly Hook[] | undefined;
  readonly excludes: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
  readonly keep: Keep | undefined;
  readonly repositories: readonly string[] | undefined;
}

export const noSettings: VolumeSettings = {
  schedule: undefined,
  timeZone: undefined,
  jitterMs: undefined,
  catchUp: undefined,
  consistency: undefined,
  maxStillMs: undefined,
  stillTries: undefined,
  preset: undefined,
  dump: undefined,
  hooks: undefined,
  excludes: undefined,
  tags: undefined,
  keep: undefined,
  repositories: undefined,
};

export const schedulePattern: Shape<string> = text(
  (pattern) => {
    openTimetable({ patterns: [pattern], timeZone: undefined });
    return pattern;
  },
  { description: 'Cron: MINUTE HOUR DAY MONTH WEEKDAY, or @hourly, @daily, @weekly, @monthly, @yearly' },
);

export const timeZone: Shape<string> = text(
  (zone) => {
    openTimetable({ patterns: ['@daily'], timeZone: zone });
    return zone;
  },
  { description: 'A zone of the IANA database, such as Europe/Berlin' },
);

const duration: Shape<number> = text(parseDuration, { description: 'Such as 90s, 30m, 2h' });

/** As text, so that a label and `--max-still` use the same form. */
const maxStill: Shape<number> = text(parseMaxStill, { description: 'Such as 500ms, 1s, 10s, or unlimited' });

const span = text(parseSpan, { description: 'Such as 14d, 6m, 1y6m: m is a month' });

const count: Shape<number> = either(
  wholeNumber(0, 1_000_000_000),
  converted(oneOf(['unlimited']), () => Number.POSITIVE_INFINITY),
  (node) => isScalar(node) && typeof node.value === 'number',
);

const preset: Shape<string> = converted(
  oneOf(['auto', 'none', 'postgresql', 'mariadb', 'mysql', 'mongodb', 'redis', 'sqlite']),
  (name) => (name === 'mysql' ? 'mariadb' : name),
);

const excludePattern = text((pattern) => {
  compileExcludes([pattern]);
  return pattern;
});

export const tag = text(
  (value) => {
    if (/^[^,\s]+$/.test(value) && !value.startsWith('policy:')) return value;
    throw new AppError(
      'usage',
      `${quote(value)} is no tag: it must not hold "," or spaces, nor begin with "policy:"`,
    );
  },
  { pattern: '^(?!policy:)[^,\\s]+$' },
);

const keepFields = fields({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  within: span,
  'within-hourly': span,
  'within-daily': span,
  'within-weekly': span,
  'within-monthly': span,
  'within-yearly': span,
  tags: listOf(anyText),
  verified: wholeNumber(1, 1_000_000),
});

/** The rules of "holdfast forget". */
export const keep: Shape<Keep> = converted(keepFields, (given) => {
  const rules: KeepRules = {
    last: given.last,
    count: definedOf({
      hourly: given.hourly,
      daily: given.daily,
      weekly: given.weekly,
      monthly: given.monthly,
      yearly: given.yearly,
    }),
    within: given.within,
    periodWithin: definedOf({
      hourly: given['within-hourly'],
      daily: given['within-daily'],
      weekly: given['within-weekly'],
      monthly: given['within-monthly'],
      yearly: given['within-yearly'],
    }),
    tags: given.tags?.map((tags) => tags.split(',')),
  };
  if (hasNoRules(rules))
    throw new AppError(
      'usage',
      'keeps nothing: give a rule such as "daily: 7", or leave "keep" out to keep everything',
    );
  return { rules, verified: given.verified ?? 1 };
});

export const settingFields = {
  schedule: oneOrMore(schedulePattern),
  'time-zone': timeZone,
  jitter: duration,
  'catch-up': flag,
  consistency: oneOf(consistencyModes),
  'max-still': maxStill,
  'still-tries': wholeNumber(1, mostStillTries),
  preset,
  dump: flag,
  hooks,
  exclude: listOf(excludePattern),
  tags: listOf(tag),
  keep,
  repositories: oneOrMore(anyText),
} as const;

type GivenSettings = {
  readonly [K in keyof typeof settingFields]:
    | ((typeof settingFields)[K] extends Shape<infer T> ? T : never)
    | undefined;
};

export function settingsOf(given: GivenSettings): VolumeSettings {
  return {
    schedule: given.schedule,
    timeZone: given['time-zone'],
    jitterMs: given.jitter,
    catchUp: given['catch-up'],
    consistency: given.consistency,
    maxStillMs: given['max-still'],
    stillTries: given['still-tries'],
    preset: given.preset,
    dump: given.dump,
    hooks: given.hooks,
    excludes: given.exclude,
    tags: given.tags,
    keep: given.keep,
    repositories: given.repositories,
  };
}

/** The weaker layer supplies what the stronger does not set. */
export function layered(stronger: VolumeSettings, weaker: VolumeSettings): VolumeSettings {
  const said: Partial<VolumeSettings> = definedOf(stronger);
  return { ...weaker, ...said };
}

function definedOf<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
