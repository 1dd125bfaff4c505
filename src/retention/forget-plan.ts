import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { groupSnapshots, type OwnTest, type SnapshotGroup, type TimeDoubt } from '../snapshots/index.ts';
import { applyKeepRules, type Judged, type KeepRules, newestFirst } from '../model/keep-rules.ts';

/** Whether one snapshot stays, and why. */
export interface ForgetDecision {
  readonly snapshot: Snapshot;
  readonly stays: boolean;
  readonly reasons: readonly string[];
}

export interface ForgetGroup extends Omit<SnapshotGroup, 'snapshots'> {
  /** Newest first. */
  readonly decisions: readonly ForgetDecision[];
}

export interface ForgetPlan {
  readonly groups: readonly ForgetGroup[];
  /** Ids of named snapshots whose records cannot be read. */
  readonly damaged: readonly string[];
  /** Why the plan cannot be applied as it is. */
  readonly refusal: AppError | undefined;
}

/** Chooses by rules, or by name. */
export type ForgetChoice =
  | {
      readonly kind: 'rules';
      readonly rules: KeepRules;
      /**
       * Of each group, this many whole snapshots, verified ones and complete moments of a stack stay, the
       * newest, whatever the rules say.
       */
      readonly floor: number;
      /** Ids of the snapshots that a check of all data found whole. */
      readonly verified: ReadonlySet<string>;
      /**
       * Ids of the snapshots with data that interrupted restores took out of their volumes and have not put
       * back.
       */
      readonly needed?: ReadonlySet<string>;
    }
  | { readonly kind: 'named'; readonly ids: ReadonlySet<string>; readonly damaged: readonly string[] };

export interface ForgetLimits {
  /** A group may lose all its snapshots. */
  readonly allowEmpty: boolean;
  readonly nowMs: number;
  readonly isOwn?: OwnTest | undefined;
  /** Doubtful times, by snapshot id. */
  readonly doubts?: ReadonlyMap<string, TimeDoubt> | undefined;
}

/** Decides for each snapshot whether it stays; pure. `snapshots` are all that the choice covers. */
export function planForget(
  snapshots: readonly Snapshot[],
  choice: ForgetChoice,
  limits: ForgetLimits,
): ForgetPlan {
  const { allowEmpty, isOwn } = limits;
  const groups = groupSnapshots(snapshots, isOwn)
    .map(({ snapshots: members, ...group }): ForgetGroup => ({
      ...group,
      decisions: choice.kind === 'named' ? judgeNamed(members, choice.ids) : judge(members, choice, limits),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : Number(a.isSafety) - Number(b.isSafety)));
  const emptied = allowEmpty ? [] : groups.filter(({ decisions }) => decisions.every(({ stays }) => !stays));
  const damaged = choice.kind === 'named' ? choice.damaged : [];
  return { groups, damaged, refusal: emptied[0] && refuseEmpty(emptied[0]) };
}

function judge(
  snapshots: readonly Snapshot[],
  { rules, floor, verified, needed }: Extract<ForgetChoice, { kind: 'rules' }>,
  { nowMs, doubts }: ForgetLimits,
): ForgetDecision[] {
  let wholeLeft = floor;
  let verifiedLeft = floor;
  let momentsLeft = floor;
  // Rules go by time: a doubtful one must neither displace another snapshot nor decide about its own.
  const doubtful = newestFirst(snapshots.filter(({ id }) => doubts?.has(id)));
  const certain = snapshots.filter(({ id }) => !doubts?.has(id));
  const decisions = applyKeepRules(certain, rules, nowMs).map(
    ({ snapshot, reasons }: Judged): ForgetDecision => {
      const all = [...reasons];
      if (snapshot.problemCount === 0 && wholeLeft-- > 0) all.push(floorReason('whole', floor));
      if (verified.has(snapshot.id) && verifiedLeft-- > 0) all.push(floorReason('verified', floor));
      if (needed?.has(snapshot.id)) all.push('"holdfast recover" needs it');
      if (isOfWholeMoment(snapshot) && momentsLeft-- > 0 && all.length === 0) all.push(momentReason(floor));
      return { snapshot, stays: all.length > 0, reasons: all.length > 0 ? all : ['no rule keeps it'] };
    },
  );
  return [
    ...doubtful.map(({ snapshot }) => ({
      snapshot,
      stays: true,
      reasons: [`${doubts?.get(snapshot.id)?.reason ?? ''}; it counts for no rule, and goes by its id`],
    })),
    ...decisions,
  ];
}

/**
 * True when no volume of its stack was missing at its moment. Later partial moments count in the rules, but
 * must not displace the last moment to which the stack can go back as a whole.
 */
function isOfWholeMoment({ restorePoint, missing = [] }: Snapshot): boolean {
  return restorePoint !== undefined && missing.length === 0;
}

function momentReason(floor: number): string {
  const which = floor === 1 ? 'newest moment' : `newest ${floor} moments`;
  return `of the ${which} that ${floor === 1 ? 'has' : 'have'} all of its stack`;
}

function floorReason(kind: 'whole' | 'verified', floor: number): string {
  return floor === 1 ? `newest ${kind} snapshot` : `one of the newest ${floor} ${kind} snapshots`;
}

function judgeNamed(snapshots: readonly Snapshot[], ids: ReadonlySet<string>): ForgetDecision[] {
  return newestFirst(snapshots).map(({ snapshot }) => {
    const goes = ids.has(snapshot.id);
    return { snapshot, stays: !goes, reasons: [goes ? 'it was named' : 'it was not named'] };
  });
}

function refuseEmpty({ name, decisions }: ForgetGroup): AppError {
  const count = decisions.length === 1 ? 'the only snapshot' : `all ${decisions.length} snapshots`;
  return new AppError('usage', `Cannot forget ${count} of ${quote(name)}: nothing would be left`, {
    detail: 'Nothing was removed.',
    hint: 'Keep some with a rule such as --keep-last 1, or add --allow-empty.',
  });
}
