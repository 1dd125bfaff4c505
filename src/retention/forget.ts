import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import {
  findContext,
  findSnapshot,
  groupKey,
  isNamedById,
  isSavedAs,
  lineage,
  machineOf,
  targetName,
  versionMeant,
  type FindContext,
  type OwnTest,
  type SnapshotSources,
} from '../snapshots/index.ts';
import { type ForgetChoice, type ForgetPlan, planForget } from './forget-plan.ts';
import { hasNoRules, hasTags, type KeepRules } from '../model/keep-rules.ts';
import type { Repository } from '../repository/index.ts';
import { type AuditLog, type JobOptions, logged } from '../activity/index.ts';
import { listStreamed, savedIn } from '../restore/index.ts';

export interface ForgetRequest {
  /** Volumes and directories, or single snapshots; empty is everything that this machine saved. */
  readonly targets: readonly string[];
  /** Only snapshots that have every tag of one of these lists. */
  readonly tags: readonly (readonly string[])[];
  readonly rules: KeepRules;
  /**
   * Of each group, this many whole snapshots and verified ones stay, the newest, whatever the rules say.
   * Undefined is 1, or 0 with `allowEmpty`.
   */
  readonly keepVerified: number | undefined;
  /** A volume may lose all its snapshots. */
  readonly allowEmpty: boolean;
  /** Applies rules to other machines' snapshots too, to each machine's volumes separately. */
  readonly allHosts?: boolean | undefined;
}

export interface ForgetReport {
  /** Ids. */
  readonly removed: readonly string[];
  readonly kept: number;
}

/** What would be forgotten, and why everything else stays; changes nothing. */
export async function prepareForget(
  sources: SnapshotSources & { readonly stateDir: string },
  request: ForgetRequest,
  options: JobOptions,
): Promise<ForgetPlan> {
  const context = await findContext(sources, options);
  const { repository, catalog, stateDir } = sources;
  const asked = readTargets(request, context);
  const { isOwn, doubts } = context;
  const limits = { allowEmpty: request.allowEmpty, nowMs: Date.now(), isOwn, doubts };
  if (asked.ids.size + asked.damaged.length === 0) {
    const chosen = asked.groups.length > 0 ? asked.groups : inReach(request, context, options);
    const tagged = chosen.filter((snapshot) => isTagged(snapshot, request.tags));
    const needed = await neededIds(stateDir, tagged);
    const verified = new Set(catalog.listVerifiedSnapshots(repository.id));
    return planForget(tagged, { ...chooseByRules(request, verified), needed }, limits);
  }
  refuseMixed(request, asked);
  const keyOf = (snapshot: Snapshot): string => groupKey(snapshot, isOwn);
  const touched = new Set(context.snapshots.filter(({ id }) => asked.ids.has(id)).map(keyOf));
  const neighbours = context.snapshots.filter((snapshot) => touched.has(keyOf(snapshot)));
  const plan = planForget(neighbours, { kind: 'named', ids: asked.ids, damaged: asked.damaged }, limits);
  const needed = await neededIds(stateDir, context.snapshots);
  const missed = [...asked.ids].find((id) => needed.has(id));
  return missed === undefined ? plan : { ...plan, refusal: refuseNeeded(missed) };
}

/** Removes what the plan says, provided that everything that it says stays still exists. */
export async function applyForget(
  { repository, log }: { readonly repository: Repository; readonly log: AuditLog },
  plan: ForgetPlan,
  options: JobOptions,
): Promise<ForgetReport> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const decisions = plan.groups.flatMap((group) => group.decisions);
  const staying = decisions.filter(({ stays }) => stays).map(({ snapshot }) => snapshot.id);
  const leaving = decisions.filter(({ stays }) => !stays).map(({ snapshot }) => snapshot.id);
  const removed = [...leaving, ...plan.damaged];
  if (removed.length > 0) {
    const { signal, onProgress } = options;
    const names = new Map(decisions.map(({ snapshot }) => [snapshot.id, snapshot.name]));
    await logged(log, {
      event: { kind: 'forget', repository: repository.id },
      work: () => repository.removeSnapshots(removed, { staying, signal, onProgress }),
      done: () =>
        removed.map((id) => ({
          kind: 'forget',
          outcome: 'good',
          volume: names.get(id),
          snapshot: id,
          repository: repository.id,
        })),
    });
  }
  return { removed, kept: staying.length };
}

interface Request {
  /** Snapshots of the named volumes and directories. */
  readonly groups: readonly Snapshot[];
  readonly ids: ReadonlySet<string>;
  readonly damaged: readonly string[];
}

type OwnContext = FindContext & { readonly isOwn: OwnTest };

/** The snapshots that rules cover when no target is named. Says which are left alone. */
function inReach(
  { allHosts }: ForgetRequest,
  { snapshots, isOwn }: OwnContext,
  { onNote }: JobOptions,
): readonly Snapshot[] {
  const others = snapshots.filter((snapshot) => !isOwn(snapshot));
  if (allHosts === true || others.length === 0) return snapshots;
  const machines = [...new Set(others.map(machineOf))].toSorted().map(quote).join(', ');
  onNote?.(
    `${others.length === 1 ? 'One snapshot is' : `${others.length} snapshots are`} left alone: other machines saved them (${machines}), and rules are about what this one saved. With --all-hosts they are about all.`,
  );
  return snapshots.filter(isOwn);
}

/**
 * Names take precedence over ids, as everywhere. Another machine's snapshots are removed by id, or with
 * `allHosts`.
 */
function readTargets({ targets, allHosts }: ForgetRequest, context: OwnContext): Request {
  const groups = new Map<string, Snapshot>();
  const ids = new Set<string>();
  const damaged = new Set<string>();
  for (const text of targets) {
    const { target, snapshot: reference } = versionMeant(text, context);
    const named =
      reference.kind === 'latest' && (!text.endsWith('@latest') || targetName(target).endsWith('@latest'));
    const found = named ? namedBy(targetName(target), context, allHosts) : [];
    for (const snapshot of found) groups.set(snapshot.id, snapshot);
    if (found.length > 0) continue;
    const broken = damagedId(text.toLowerCase(), context);
    if (broken !== undefined) {
      damaged.add(broken);
      continue;
    }
    const single = findSnapshot(text, context);
    if (allHosts !== true && !isNamedById(single, text, context)) refuseOthers(text, [single], context);
    ids.add(single.id);
  }
  return { groups: [...groups.values()], ids, damaged: [...damaged] };
}

function namedBy(name: string, context: OwnContext, allHosts: boolean | undefined): readonly Snapshot[] {
  if (allHosts === true) {
    const identity = context.identityOf(name);
    return context.snapshots.filter(
      ({ volume }) => volume !== undefined && (volume.name === name || volume.identity === identity),
    );
  }
  const found = lineage(name, context);
  refuseOthers(name, found, context);
  return found;
}

function refuseOthers(name: string, found: readonly Snapshot[], { isOwn }: OwnContext): void {
  const other = found.find((snapshot) => !isOwn(snapshot));
  if (other === undefined) return;
  throw new AppError(
    'usage',
    `Cannot forget snapshots of ${quote(name)}: the machine ${quote(machineOf(other))} saved them`,
    {
      detail: 'Nothing was removed.',
      hint: 'Add --all-hosts to apply rules to what other machines saved, or name single snapshots by their ids.',
    },
  );
}

/** A record that cannot be read is named by at least eight digits of its id. */
function damagedId(start: string, { damaged = new Map(), snapshots }: FindContext): string | undefined {
  if (!/^[0-9a-f]{8,64}$/.test(start) || snapshots.some(({ id }) => id.startsWith(start))) return undefined;
  const found = [...damaged.keys()].filter((id) => id.startsWith(start));
  return found.length === 1 ? found[0] : undefined;
}

function isTagged(snapshot: Snapshot, lists: ForgetRequest['tags']): boolean {
  return lists.length === 0 || lists.some((tags) => hasTags(snapshot, tags));
}

/** Without a readable journal it is unknown what a restore needs. */
async function neededIds(stateDir: string, snapshots: readonly Snapshot[]): Promise<Set<string>> {
  const journals = await listStreamed(stateDir, (error) => {
    throw error;
  });
  const ids = new Set(journals.flatMap(savedIn));
  return new Set(snapshots.filter((one) => isSavedAs(one, ids)).map(({ id }) => id));
}

function refuseNeeded(id: string): AppError {
  return new AppError('conflict', `Cannot forget ${quote(id.slice(0, 8))}: "holdfast recover" needs it`, {
    detail: 'It is what an interrupted restore has taken out of a volume. Nothing was removed.',
    hint: 'Run "holdfast recover" first. "holdfast volume ls" says what else can be done about it.',
  });
}

function chooseByRules(
  request: ForgetRequest,
  verified: ReadonlySet<string>,
): Extract<ForgetChoice, { kind: 'rules' }> {
  const { rules, keepVerified, allowEmpty, targets, tags } = request;
  const isNarrowed = targets.length > 0 || tags.length > 0;
  if (hasNoRules(rules) && !(allowEmpty && isNarrowed)) {
    throw new AppError('usage', 'Nothing says what to keep', {
      hint: 'Add rules such as --keep-last 3 or --keep-daily 7. To forget everything of a volume, name it and add --allow-empty.',
    });
  }
  return { kind: 'rules', rules, floor: keepVerified ?? (allowEmpty ? 0 : 1), verified };
}

function refuseMixed(request: ForgetRequest, asked: Request): void {
  const mixed =
    asked.groups.length > 0
      ? 'volumes'
      : request.tags.length > 0
        ? 'tags'
        : !hasNoRules(request.rules) || request.keepVerified !== undefined
          ? 'rules'
          : undefined;
  if (mixed === undefined) return;
  const [first = ''] = [...asked.ids, ...asked.damaged];
  throw new AppError(
    'usage',
    `Cannot forget single snapshots, such as ${quote(first.slice(0, 8))}, together with ${mixed}`,
    { hint: 'Run the command twice.' },
  );
}
