import { AppError } from '../model/errors.ts';

/** Which volumes of the host must stay. */
export interface ProtectedNames {
  has(name: string): Promise<boolean>;
  list(): Promise<readonly string[]>;
  set(name: string, isProtected: boolean): Promise<void>;
}

/** For a host whose volumes nobody can protect. */
export const noneProtected: ProtectedNames = {
  has: async () => false,
  list: async () => [],
  set: async () => {
    throw new AppError('unsupported', 'Volumes cannot be protected here');
  },
};
