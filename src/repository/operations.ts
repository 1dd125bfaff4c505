/** Each operation's code is loaded when it is first asked for: who restores does not wait for what prunes. */
export const operations = {
  check: () => import('./check/check-repository.ts'),
  copy: () => import('./copy/copy-snapshots.ts'),
  find: () => import('./find/find-entries.ts'),
  keys: () => import('./keys/manage-keys.ts'),
  list: () => import('./snapshots/list-snapshots.ts'),
  prune: () => import('./prune/prune-repository.ts'),
  repairIndex: () => import('./repair/repair-index.ts'),
  repairPacks: () => import('./repair/repair-packs.ts'),
  repairSnapshots: () => import('./repair/repair-snapshots.ts'),
  repair: () => import('./repair/run-repair.ts'),
  restore: () => import('./restore/restore-tree.ts'),
  save: () => import('./save/save-snapshot.ts'),
  tags: () => import('./snapshots/change-tags.ts'),
  remove: () => import('./snapshots/remove-snapshots.ts'),
  stats: () => import('./stats/measure-groups.ts'),
  unlock: () => import('./unlock.ts'),
};
