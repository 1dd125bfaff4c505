/**
 * Who works on what: the exclusive hold on a volume or an application, against processes, state folders and other users of
 * the machine. Begin with `lease.ts`.
 */
export { isReadOnly, takeLease, takeLeases } from './lease.ts';
