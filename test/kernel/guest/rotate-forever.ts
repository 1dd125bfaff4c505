import { openManaged } from './kept-volumes.ts';

/** New keys for the volume "rotating", again and again, until somebody ends it. */
const { managed } = await openManaged();
console.log('begun');
for (;;) await managed.rotate('rotating', undefined);
