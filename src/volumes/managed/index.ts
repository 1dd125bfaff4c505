export { openEmbeddedHost } from './embedded-host.ts';
