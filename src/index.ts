/** Holdfast as a library: everything that its command can do. */
export { openApp } from './app.ts';
export type * from './app/app.ts';
export { serveApi } from './surfaces/docker-api/serve-api.ts';
export { servePlugin } from './surfaces/docker-plugin/serve-plugin.ts';
export {
  AppError,
  type AppErrorOptions,
  type ErrorCode,
  exitNumber,
  httpStatus,
  isAppError,
} from './model/errors.ts';
