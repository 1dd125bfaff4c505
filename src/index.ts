/** Holdfast as a library: everything that its command can do. */
export { openApp } from './app.ts';
export type * from './app/app.ts';
export {
  AppError,
  type AppErrorOptions,
  type ErrorCode,
  exitNumber,
  httpStatus,
  isAppError,
} from './model/errors.ts';
