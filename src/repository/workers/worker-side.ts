import { parentPort } from 'node:worker_threads';
import { type FromWorker, toPlainError, type ToWorker } from './worker-pool.ts';

export interface WorkerSide<Task, Result, Interim, Notice> {
  readonly onTask: (task: Task, sendInterim: (interim: Interim) => void) => Promise<Result>;
  readonly onNotice?: (notice: Notice) => void;
}

/**
 * Serves the tasks of a `WorkerPool` in this worker thread, one after another. Returns a function that sends
 * events.
 */
export function serveTasks<Task, Result, Interim = never, Event = never, Notice = never>(
  side: WorkerSide<Task, Result, Interim, Notice>,
): (event: Event) => void {
  const port = parentPort;
  if (!port) throw new Error('This module runs in a worker thread only');
  const send = (message: FromWorker<Result, Interim, Event>): void => port.postMessage(message);
  let last = Promise.resolve();
  let isEnding = false;

  const serve = async (number: number, task: Task): Promise<void> => {
    if (isEnding) return;
    try {
      const result = await side.onTask(task, (interim) => send({ kind: 'interim', number, interim }));
      send({ kind: 'done', number, result });
    } catch (error) {
      send({ kind: 'failed', number, error: toPlainError(error) });
    }
  };

  const end = (): void => {
    isEnding = true;
    last = last.then(() => port.close());
  };

  port.on('message', (message: ToWorker<Task, Notice>) => {
    if (message.kind === 'end') end();
    else if (message.kind === 'notice') side.onNotice?.(message.notice);
    else last = last.then(() => serve(message.number, message.task));
  });
  return (event) => send({ kind: 'event', event });
}
