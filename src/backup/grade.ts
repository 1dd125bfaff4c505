import { amount } from '../model/size.ts';
import { quote } from '../model/quote.ts';
import type { Grade, GradeEvidence } from '../model/snapshot.ts';
import type { KilledApp, PlaceEvidence, QuiesceEvidence, QuiescePlan } from '../quiesce/index.ts';
import type { SavedTree } from '../repository/index.ts';

export interface GradeReason {
  readonly grade: Grade;
  /** Why, for people. */
  readonly reason: string;
}

interface ToGrade {
  readonly plan: QuiescePlan;
  readonly maxStillMs: number | undefined;
  readonly quiesced: Pick<QuiesceEvidence, 'stillMs'>;
  readonly place: PlaceEvidence;
  readonly saved: SavedTree;
}

export interface GradedSave extends GradeReason {
  /** For the record. */
  readonly evidence: GradeEvidence;
}

/** The grade of a snapshot, from how its data was kept still and what the data itself showed; pure. */
export function gradeSaved({ plan, maxStillMs, quiesced, place, saved }: ToGrade): GradedSave {
  const { late = 0 } = saved.inFlight ?? {};
  // What was read late changed for a known reason.
  const traces = late > 0 ? [] : tracesIn(saved);
  const graded = lateGrade(gradeStill({ ...place, traces }), { late, maxStillMs });
  const { consistency } = plan;
  const { reason } = graded;
  const { apps, ran = [] } = place;
  const whatRan = ran.length > 0 ? { ran } : {};
  if (apps.length === 0)
    return {
      ...graded,
      evidence: { consistency: consistency === 'live' ? 'live' : 'cold', reason, ...whatRan },
    };
  const stillMs = Math.round(quiesced.stillMs);
  const bound = maxStillMs === undefined ? {} : { maxStillMs };
  const inFlight = saved.inFlight && { inFlight: saved.inFlight };
  return { ...graded, evidence: { consistency, reason, stillMs, ...bound, apps, ...inFlight, ...whatRan } };
}

/** What was read after the containers ran again need not be of the same moment as the rest. */
function lateGrade(
  graded: GradeReason,
  { late, maxStillMs }: { readonly late: number; readonly maxStillMs: number | undefined },
): GradeReason {
  if (late === 0 || graded.grade === 'torn') return graded;
  const bound = maxStillMs === undefined ? '' : ` (at most ${maxStillMs} ms)`;
  const reason = `${graded.reason}${bound}, then ran again before ${amount(late, 'file')} had been read`;
  return { grade: 'torn', reason };
}

/** Signs that the data was written to: what vanished or changed while it was read, or before. For people. */
function tracesIn({ problems, written }: SavedTree): string[] {
  return [
    ...problems
      .filter(({ reason }) => reason !== 'unreadable')
      .map(({ path, message }) => `${quote(path)} ${message}`),
    ...(written === undefined ? [] : [`${quote(written)} was changed before it was read`]),
  ];
}

export interface StillFacts extends PlaceEvidence {
  /** Signs in the data itself that it was written to, for people: `"x" changed while it was read`. */
  readonly traces?: readonly string[] | undefined;
}

/** The grade of a snapshot, from all that could write while it was read; pure. */
export function gradeStill(facts: StillFacts): GradeReason {
  const { how, apps, writers, disturbed, hostProcesses, traces = [], made, killed = [], paused = [] } = facts;
  const loose = [...new Set([...writers, ...disturbed])];
  if (loose.length > 0) return { grade: 'torn', reason: `${someNames(loose)} could write while it was read` };
  if (hostProcesses.length > 0)
    return { grade: 'torn', reason: `${hostProcesses.slice(0, 3).join(', ')} could write while it was read` };
  const [trace] = traces;
  if (trace !== undefined) return { grade: 'torn', reason: `something wrote to it: ${trace}` };
  const names = someNames(apps.map(({ name }) => name));
  const ms = Math.round(Math.max(0, ...apps.map(({ stillMs }) => stillMs)));
  if (how === 'stop' && apps.length > 0) {
    const [first] = killed;
    if (first !== undefined) return { grade: 'crash', reason: describeKilled(first) };
    if (paused.length > 0) return { grade: 'crash', reason: `${someNames(paused)} was paused` };
    return { grade: 'cold', reason: `${names} stopped for ${ms} ms` };
  }
  const still = apps.length > 0 ? [`${names} still for ${ms} ms`] : [];
  if (made?.grade === 'app') return { grade: 'app', reason: [made.evidence, ...still].join(', ') };
  const [why] = [...still, ...(paused.length > 0 ? [`${someNames(paused)} was paused`] : [])];
  return why === undefined
    ? { grade: 'cold', reason: 'no container could write to it' }
    : { grade: 'crash', reason: why };
}

function describeKilled({ name, afterMs }: KilledApp): string {
  return afterMs === undefined
    ? `it is not known whether "${name}" stopped by itself`
    : `"${name}" did not stop by itself and was killed after ${(afterMs / 1000).toFixed(1)} s`;
}

function someNames(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
