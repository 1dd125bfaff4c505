import { AppError } from '../../model/errors.ts';

/** The newest and the oldest version of the API that this program was written for. */
const newestVersion = '1.45';
const oldestVersion = '1.40';

/** The version to speak with an engine that offers `offered`. `address` is for the message. */
export function chooseVersion(offered: string, address: string): string {
  if (compareVersions(offered, oldestVersion) < 0) {
    throw new AppError(
      'unsupported',
      `The engine at "${address}" is too old: its API version is ${offered}`,
      {
        hint: `Version ${oldestVersion} (Docker 19.03) or newer is needed.`,
      },
    );
  }
  return compareVersions(offered, newestVersion) < 0 ? offered : newestVersion;
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}
