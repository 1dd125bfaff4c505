import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isAppError } from '../../src/model/errors.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { attackerUid, compile, prepareAttack } from './attacker.ts';

/** Another user's folder with data in it, and a victim: a tree of root's with the same folders in it. */
export interface SwapScene extends Disposable {
  readonly folder: string;
  /** The other user's folder. */
  readonly home: string;
  readonly data: string;
  readonly victim: string;
  /** Runs the work repeatedly under attack. Returns how often it reported success. */
  under(attack: SwapAttack, rounds: number, work: (round: number) => Promise<void>): Promise<number>;
}

export interface SwapAttack {
  readonly what: 'stage' | 'link' | 'target' | 'import-stage' | 'import-link';
  readonly cwd?: string;
  readonly isLockedIn?: boolean;
}

export function makeSwapScene(): SwapScene {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'attacks-')));
  // In memory, because a sync of a disk waits for all that others write to it.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0711', 'attacks', folder]);
  const program = compile('swap-names', folder);
  const home = join(folder, 'home');
  const data = join(home, 'data');
  const victim = join(folder, 'victim');
  mkdirSync(home);
  makeTree(data, 'first');
  own(home, { uid: attackerUid, mode: 0o777 });
  makeTree(victim, 'secret');
  // Some of the files.
  for (let index = 0; index < 10; index += 2)
    for (const name of readdirSync(join(victim, `d${index}/below`)))
      rmSync(join(victim, `d${index}/below`, name));
  own(victim, { uid: 0, mode: 0o700 });
  const untouched = treeFacts(victim);
  return {
    ...{ folder, home, data, victim },
    async under({ what, cwd = home, isLockedIn = false }, rounds, work) {
      const args = [victim, what, ...(isLockedIn ? ['chroot'] : [])];
      const attacker = await prepareAttack(program, args, { uid: isLockedIn ? 0 : attackerUid, cwd });
      let done = 0;
      let given = 0;
      try {
        // Without an attacker it does what it is to do.
        await work(rounds);
        attacker.begin();
        for (let round = 0; round < rounds; round++) {
          try {
            await work(round);
            done++;
          } catch (error) {
            // It may fail with an error for people.
            if (!isAppError(error)) throw error;
          }
          expect(treeFacts(victim), `round ${round}`).toEqual(untouched);
        }
      } finally {
        given = (await attacker.end())['given'] ?? 0;
        console.log(`${what}: ${done} of ${rounds} were done, a name was given away ${given} times`);
      }
      // An attacker that was held up does less.
      expect(given).toBeGreaterThanOrEqual(rounds / 4);
      return done;
    },
    [Symbol.dispose]() {
      execFileSync('umount', [folder]);
      rmdirSync(folder);
    },
  };
}

export function makeTree(root: string, text: string): void {
  for (let index = 0; index < 10; index++) {
    const place = join(root, `d${index}`, 'below');
    mkdirSync(place, { recursive: true });
    for (let file = 0; file < 4; file++) writeFileSync(join(place, `f${file}`), `${text} ${index} ${file}`);
    symlinkSync('f0', join(place, 'symlink'));
    execFileSync('mkfifo', [join(place, 'fifo')]);
  }
  writeFileSync(join(root, 'large'), Buffer.concat([Buffer.from(text), randomBytes(2_500_000)]));
}

export function own(root: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void {
  for (const name of ['', ...readdirSync(root, { recursive: true, encoding: 'utf8' })]) {
    lchownSync(join(root, name), uid, uid);
    if (!name.endsWith('symlink')) chmodSync(join(root, name), mode);
  }
}
