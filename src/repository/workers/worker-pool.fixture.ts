import { threadId } from 'node:worker_threads';
import { AppError } from '../../model/errors.ts';
import { serveTasks } from './worker-side.ts';

/** What the tests of the pool have its workers do. */
export type TestTask =
  | { readonly kind: 'echo'; readonly text: string }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'fail'; readonly how: 'app' | 'errno' | 'text' | 'result' }
  | { readonly kind: 'die'; readonly how: 'exit' | 'throw' }
  | { readonly kind: 'notices' }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export interface TestResult {
  readonly threadId: number;
  readonly text: string;
}

const notices: string[] = [];
const sendEvent = serveTasks<TestTask, TestResult, number, string, string>({
  onTask: run,
  onNotice: (notice) => notices.push(notice),
});

async function run(task: TestTask, sendInterim: (step: number) => void): Promise<TestResult> {
  switch (task.kind) {
    case 'echo':
      sendEvent(`before ${task.text}`);
      return answer(task.text);
    case 'sleep':
      await new Promise((resolve) => setTimeout(resolve, task.ms));
      return answer('slept');
    case 'fail':
      return fail(task.how);
    case 'die':
      return die(task.how);
    case 'notices':
      return answer(notices.join(','));
    case 'steps':
      for (let step = 0; step < task.count; step++) sendInterim(step);
      return answer('done');
    case 'bytes':
      return answer(Buffer.from(task.bytes).toString());
  }
}

function answer(text: string): TestResult {
  return { threadId, text };
}

function fail(how: 'app' | 'errno' | 'text' | 'result'): TestResult {
  if (how === 'app')
    throw new AppError('full', 'Cannot write "x": the disk is full', {
      detail: 'All of it.',
      hint: 'Make room.',
    });
  if (how === 'errno') throw Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
  // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- whatever is thrown must cross
  if (how === 'text') throw 'only text';
  return { threadId, text: (() => 'a function cannot be sent') as unknown as string };
}

function die(how: 'exit' | 'throw'): Promise<TestResult> {
  if (how === 'exit') process.exit(3);
  if (how === 'throw')
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  return new Promise(() => undefined);
}
