import type { JobOptions } from '../../activity/index.ts';
import type { MigrationReport } from './apply-migration.ts';
import type { MigrationPlan, MigrationRequest } from './migration-plan.ts';
import type { MigrationParts } from './plan-migration.ts';

/** What moves volumes of Holdfast's own to other storage. */
export interface Migrations {
  /** What moving a volume to other storage would do; nothing is touched. */
  planMigration(request: MigrationRequest, options?: JobOptions): Promise<MigrationPlan>;
  /** The same for the way back to the storage that it had before. */
  planMigrationBack(request: Pick<MigrationRequest, 'name'>, options?: JobOptions): Promise<MigrationPlan>;
  /** Carries it out. A failure leaves the volume as it was. */
  applyMigration(plan: MigrationPlan, options?: JobOptions): Promise<MigrationReport>;
}

export function openMigrations(open: () => Promise<MigrationParts>): Migrations {
  return {
    async planMigration(request, options = {}) {
      const { planMigration } = await import('./plan-migration.ts');
      return await planMigration(await open(), request, options);
    },
    async planMigrationBack(request, options = {}) {
      const { planMigrationBack } = await import('./plan-migration.ts');
      return await planMigrationBack(await open(), request, options);
    },
    async applyMigration(plan, options = {}) {
      const { applyMigration } = await import('./apply-migration.ts');
      return await applyMigration(await open(), plan, options);
    },
  };
}

export type { MigrationPlan, MigrationReport };
