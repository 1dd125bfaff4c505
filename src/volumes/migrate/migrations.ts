import type { JobOptions } from '../../activity/index.ts';
import { applyMigration, type MigrationReport } from './apply-migration.ts';
import type { MigrationPlan, MigrationRequest } from './migration-plan.ts';
import { type MigrationScope, planMigration, planMigrationBack } from './plan-migration.ts';

/** Moves managed volumes to other storage. */
export interface Migrations {
  /** What moving a volume to other storage would do; changes nothing. */
  planMigration(request: MigrationRequest, options?: JobOptions): Promise<MigrationPlan>;
  /** The same for the way back to the storage that it had before. */
  planMigrationBack(request: Pick<MigrationRequest, 'name'>, options?: JobOptions): Promise<MigrationPlan>;
  /** Carries it out. A failure leaves the volume as it was. */
  applyMigration(plan: MigrationPlan, options?: JobOptions): Promise<MigrationReport>;
}

export function openMigrations(open: () => Promise<MigrationScope>): Migrations {
  return {
    planMigration: async (request, options = {}) => await planMigration(await open(), request, options),
    planMigrationBack: async (request, options = {}) =>
      await planMigrationBack(await open(), request, options),
    applyMigration: async (plan, options = {}) => await applyMigration(await open(), plan, options),
  };
}

export type { MigrationPlan, MigrationReport };
