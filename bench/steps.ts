import { type DataSetName, dataSetNames } from './data/data-sets.ts';

export type Action = 'start' | 'save' | 'save-again' | 'restore' | 'check' | 'list';

/** One row of the report: every peer that can do it takes its turn. */
export interface Step {
  readonly title: string;
  readonly action: Action;
  /** Left out for steps of the command or the repository as a whole. */
  readonly dataSet?: DataSetName;
  /** Changes the database once before the first peer's turn, unmeasured. */
  readonly changesDatabase?: boolean;
  /** Repetitions in each round, for short steps. */
  readonly turns: number;
}

export const changedShare = 0.01;
const quickTurns = 5;

/** `first backup, files`. */
export function nameStep({
  title,
  dataSet,
}: {
  readonly title: string;
  readonly dataSet?: DataSetName | undefined;
}): string {
  return dataSet === undefined ? title : `${title}, ${dataSet}`;
}

/** The steps of a round, in an order in which each finds what it needs. */
export function planSteps(options: { readonly withDocker: boolean }): Step[] {
  const each = (title: string, action: Action): Step[] =>
    dataSetNames.map((dataSet) => ({ title, action, dataSet, turns: 1 }));
  const steps: Step[] = [
    { title: 'start of the command', action: 'start', turns: quickTurns },
    ...each('first backup', 'save'),
    ...each('unchanged backup', 'save-again'),
    {
      title: `backup after ${changedShare * 100}% of the pages changed`,
      action: 'save-again',
      dataSet: 'database',
      changesDatabase: true,
      turns: 1,
    },
    // After the last backup, so that the data is compared with the result of all backups.
    ...each('restore', 'restore'),
    { title: 'check --read-data', action: 'check', turns: 1 },
  ];
  return options.withDocker
    ? [...steps, { title: 'list 2,000 volumes', action: 'list', turns: quickTurns }]
    : steps;
}
