import { openManaged } from './kept-volumes.ts';

/** Rotates the keys of the volume "rotating" again and again, until it is killed. */
const { managed } = await openManaged();
console.log('begun');
for (;;) await managed.rotate('rotating', undefined);
