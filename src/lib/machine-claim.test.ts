import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hash } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { claimOnMachine } from './machine-claim.ts';

const module = new URL('machine-claim.ts', import.meta.url).href;

/** Another process that claims a name and keeps it until it is killed, with the result of its claim. */
async function claimElsewhere(
  name: string,
  { isShared = false, uid = 0 } = {},
): Promise<{ pid: number; said: string; kill(): Promise<void> }> {
  const source = `
    const { claimOnMachine } = await import(${JSON.stringify(module)});
    if (${uid} > 0) process.setgid(${uid}), process.setuid(${uid});
    const taken = await claimOnMachine(${JSON.stringify(name)}, { isShared: ${isShared} });
    console.log('heldBy' in taken ? 'held' : 'claimed');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    pid: child.pid ?? 0,
    said: said.toString().trim(),
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function addressOf(name: string): string {
  return `\0holdfast/${hash('sha256', name).slice(0, 40)}`;
}

/** Claims a name here; throws when another process holds it. */
async function claim(name: string): Promise<AsyncDisposable> {
  const taken = await claimOnMachine(name);
  if ('heldBy' in taken) throw new Error(`"${name}" is held by ${taken.heldBy.pid}`);
  return taken;
}

test("a name is one process's at a time, and free again when that is killed", async () => {
  const name = `one at a time ${process.pid}`;
  const other = await claimElsewhere(name);
  expect(other.said).toBe('claimed');
  expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: other.pid } });
  const second = await claimElsewhere(name);
  expect(second.said).toBe('held');
  await second.kill();
  await other.kill();
  await using _mine = await claim(name);
});

test('a name that is shared is had by many, and by none alone until the last of them is killed', async () => {
  const name = `shared ${process.pid}`;
  const one = await claimElsewhere(name, { isShared: true });
  const two = await claimElsewhere(name, { isShared: true });
  expect([one.said, two.said]).toEqual(['claimed', 'claimed']);
  await one.kill();
  expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: two.pid } });
  await two.kill();
  await using _alone = await claim(name);
  expect(await claimOnMachine(name, { isShared: true })).toEqual({ heldBy: { pid: process.pid } });
});

test.runIf(process.getuid?.() === 0)(
  'root is believed by other users, who are kept out by what it shares',
  async () => {
    const name = `shared among users ${process.pid}`;
    {
      const shared = await claimOnMachine(name, { isShared: true });
      if ('heldBy' in shared) throw new Error('It is held');
      await using _shared = shared;
      const alone = await claimElsewhere(name, { uid: 65534 });
      const beside = await claimElsewhere(name, { uid: 65534, isShared: true });
      expect([alone.said, beside.said]).toEqual(['held', 'claimed']);
      await alone.kill();
      await beside.kill();
    }
    await using _mine = await claim(name);
    const beside = await claimElsewhere(name, { uid: 65534, isShared: true });
    expect(beside.said).toBe('held');
    await beside.kill();
  },
);

test('a name is free again when it is let go, and another name is another claim', async () => {
  const name = `let go ${process.pid}`;
  {
    await using _mine = await claim(name);
    expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: process.pid } });
    await using _other = await claim(`${name} other`);
  }
  await using _again = await claim(name);
});

/** A process that holds a name, hangs, and accepts no connection any more. */
async function hangWith(name: string): Promise<AsyncDisposable> {
  const path = JSON.stringify(addressOf(name));
  const source = `
    const server = require('node:net').createServer();
    server.listen({ path: ${path}, backlog: 1 }, () => {
      require('node:fs').writeSync(1, 'listening');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const sockets: Socket[] = [];
  for (let isOpen = true; isOpen;) {
    const socket = connect({ path: addressOf(name) });
    sockets.push(socket);
    isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test('a holder that cannot be asked still holds the name', async () => {
  const name = `hanging ${process.pid}`;
  {
    await using _other = await hangWith(name);
    expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: undefined } });
  }
  await using _mine = await claim(name);
});

/** A program of another user that takes a name in one of the possible ways. */
async function squat(name: string, way: 'answer' | 'hang' | 'flip'): Promise<AsyncDisposable> {
  const source = `
    const { createServer, connect } = require('node:net');
    process.setgid(65534);
    process.setuid(65534);
    const path = ${JSON.stringify(addressOf(name))};
    const way = ${JSON.stringify(way)};
    const listen = () => {
      const server = createServer();
      server.on('error', () => setImmediate(listen));
      server.listen({ path, backlog: way === 'hang' ? 1 : 511 }, () => {
        if (way === 'flip') server.close(() => setImmediate(listen));
        if (way === 'hang') for (let i = 0; i < 5; i++) connect({ path }).on('error', () => {});
        if (way === 'hang') setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50);
        if (way !== 'hang') return console.log('listening');
        require('node:fs').writeSync(1, 'listening');
      });
    };
    listen();`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.resume();
  await once(child.stdout, 'data');
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test.runIf(process.getuid?.() === 0).each(['answer', 'hang', 'flip'] as const)(
  'no other user keeps root from its work, and two of ours from each other’s way (%s)',
  async (way) => {
    const name = `squatted ${way} ${process.pid}`;
    await using _squatter = await squat(name, way);
    for (let tries = 0; tries < 20; tries++) {
      await using _mine = await claim(name);
      expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: process.pid } });
    }
    const other = await claimElsewhere(name);
    expect(other.said).toBe('claimed');
    expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: other.pid } });
    await other.kill();
    await using _again = await claim(name);
  },
);

test('an older process, which knows the address only, is seen and sees us', async () => {
  const name = `older ${process.pid}`;
  const older = createServer();
  older.listen({ path: addressOf(name) });
  await once(older, 'listening');
  expect(await claimOnMachine(name)).toEqual({ heldBy: { pid: process.pid } });
  older.close();
  await once(older, 'close');
  await using _mine = await claim(name);
  const second = createServer();
  second.listen({ path: addressOf(name) });
  await expect(once(second, 'listening')).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
