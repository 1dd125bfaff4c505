import type { DatabaseSync } from 'node:sqlite';
import { acceptAnomalies, listOpenAnomalies, recordAnomaly } from './anomalies.ts';
import type { PolicyMemory } from './catalog.ts';
import { clearForgotten, listForgotten, noteForgotten } from './forgotten.ts';
import { listPolicyCursors, savePolicyCursors } from './policy-cursors.ts';
import { beginPolicyRun, endPolicyRun, listPolicyRuns } from './policy-runs.ts';
import { inTransaction } from './transaction.ts';

/** `run` is what makes of SQLite's errors what a user is told. */
export function sqlitePolicyMemory(run: <T>(operation: (database: DatabaseSync) => T) => T): PolicyMemory {
  return {
    beginRun: (begun, cursor) => run((database) => beginPolicyRun(database, begun, cursor)),
    endRun: (number, end, cursor) => run((database) => endPolicyRun(database, { number, end, cursor })),
    listRuns: (filter) => run((database) => listPolicyRuns(database, filter)),
    listCursors: () => run(listPolicyCursors),
    saveCursors: (cursors) =>
      run((database) => inTransaction(database, () => savePolicyCursors(database, cursors))),
    recordAnomaly: (anomaly) => run((database) => recordAnomaly(database, anomaly)),
    listOpenAnomalies: () => run(listOpenAnomalies),
    acceptAnomalies: (volumeIdentity, at) =>
      run((database) => acceptAnomalies(database, { volumeIdentity, at })),
    noteForgotten: (forgotten) => run((database) => noteForgotten(database, forgotten)),
    listForgotten: (repositoryId) => run((database) => listForgotten(database, repositoryId)),
    clearForgotten: (forgotten) => run((database) => clearForgotten(database, forgotten)),
  };
}
