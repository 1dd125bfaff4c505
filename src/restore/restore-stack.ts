import type { JobOptions } from '../activity/index.ts';
import type { Host, HostScope } from '../hosts/host.ts';
import type { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { type Place, type PlannedStops, planStopsAt } from '../quiesce/index.ts';
import { findContext } from '../snapshots/index.ts';
import { chooseRestorePoint, type RestorePoint } from './choose-restore-point.ts';
import { type ConfigPlan, planConfigRestore } from './plan-config-restore.ts';
import {
  defaultKeepMs,
  type RestorePlan,
  type RestoreRequest,
  type RestoreScope,
  planRestore,
} from './restore-plan.ts';
import { type ApplyScope, type RestoreReport, applyRestores } from './restore.ts';

export interface StackRequest extends Omit<RestoreRequest, 'what' | 'to' | 'path'> {
  /** `NAME`, `NAME@TIME`, `NAME@SNAPSHOT`, `NAME@RESTOREPOINT`. */
  readonly what: string;
  /** False leaves the files that its containers need alone. Default: true. */
  readonly withFiles?: boolean | undefined;
}

/** What restoring a stack would do. */
export interface StackPlan {
  readonly point: RestorePoint;
  /** One for each volume. */
  readonly plans: readonly RestorePlan[];
  /** One for each file that its containers need and that is missing or differs. */
  readonly config: ConfigPlan;
  /** Names of the containers that are stopped for it, in order. */
  readonly stops: readonly string[];
  readonly refusal: AppError | undefined;
}

export interface StackReport {
  readonly stack: string;
  readonly restorePoint: string | undefined;
  readonly volumes: readonly RestoreReport[];
  /** The other files that its containers need, each by its path. */
  readonly files: readonly RestoreReport[];
  readonly stopped: readonly string[];
  readonly stillMs: number;
}

/** Finds out what restoring all volumes of a stack would do; changes nothing. */
export async function planStackRestore(
  scope: RestoreScope,
  request: StackRequest,
  options: JobOptions,
): Promise<StackPlan> {
  const point = chooseRestorePoint(request.what, await findContext(scope, options));
  const plans: RestorePlan[] = [];
  for (const { id } of point.snapshots)
    plans.push(
      keepingEmpty(
        await planRestore(scope, { ...request, what: id, to: undefined, path: undefined }, options),
        request,
      ),
    );
  const host = await scope.host();
  const { isRemote = false } = await host.info({ signal: options.signal });
  const notWritten = isRemote ? 'the engine is on another machine' : whyAlone(plans);
  const wanted: ConfigPlan =
    request.withFiles === false
      ? { plans: [], notes: [] }
      : await planConfigRestore(scope, { snapshots: point.snapshots, request, notWritten }, options);
  const { config, stops } = await planStackStops(scope, { host, plans, config: wanted }, options);
  return {
    point,
    plans,
    config,
    stops: stops.names,
    refusal: plans.find(({ refusal }) => refusal)?.refusal ?? stops.refusal,
  };
}

interface StackWork {
  readonly host: Host;
  readonly plans: readonly RestorePlan[];
  readonly config: ConfigPlan;
}

/**
 * Which containers are stopped. Where a container that only shares a file cannot be stopped, the volumes come
 * back without the files.
 */
async function planStackStops(
  at: HostScope,
  { host: { containers }, plans, config }: StackWork,
  options: JobOptions,
): Promise<{ readonly config: ConfigPlan; readonly stops: PlannedStops }> {
  const places = placesOf(plans);
  const all = { containers, places: [...places, ...placesOf(config.plans)] };
  const stops = await planStopsAt(at, all, options);
  if (stops.refusal === undefined || config.plans.length === 0) return { config, stops };
  const ofData = await planStopsAt(at, { containers, places }, options);
  if (ofData.refusal !== undefined) return { config, stops };
  const why = stops.refusal.detail ?? stops.refusal.message;
  const note = `What its containers need is not written, as what shares it cannot be stopped: ${why}`;
  return { config: { plans: [], notes: [...config.notes, note] }, stops: ofData };
}

/**
 * Why a volume has to be restored on its own: what is replaced through the engine cannot be taken back when
 * the swap of others fails.
 */
function whyAlone(plans: readonly RestorePlan[]): string | undefined {
  const found = plans.find(
    ({ destination }) => destination.kind === 'volume' && destination.way === 'stream',
  );
  return found && `${quote(found.destination.name)} is reached through the engine only`;
}

/** Undoing the others also empties a volume again that is empty now. */
function keepingEmpty(plan: RestorePlan, { keepForMs = defaultKeepMs }: StackRequest): RestorePlan {
  const { destination } = plan;
  const isKept = destination.kind === 'volume' && destination.isEmpty && destination.canKeep;
  return isKept ? { ...plan, keepForMs } : plan;
}

/** Restores all of it or nothing, with one stop of the containers. */
export async function applyStackRestore(
  scope: ApplyScope,
  plan: StackPlan,
  options: JobOptions,
): Promise<StackReport> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const reports = await applyRestores(scope, [...plan.plans, ...plan.config.plans], options);
  const { stopped = [], stillMs = 0 } = reports[0] ?? {};
  const { stack, id } = plan.point;
  const count = plan.plans.length;
  return {
    ...{ stack, restorePoint: id, stopped, stillMs },
    volumes: reports.slice(0, count),
    files: reports.slice(count),
  };
}

function placesOf(plans: readonly RestorePlan[]): Place[] {
  return plans.flatMap(({ destination: { kind, name }, inConfig }) =>
    kind === 'new-volume'
      ? []
      : [
          {
            kind: kind === 'volume' ? ('volume' as const) : ('path' as const),
            name,
            isMountedAlone: inConfig,
          },
        ],
  );
}
