import { AppError } from './errors.ts';
import { quote } from './quote.ts';

export function protectedError(name: string): AppError {
  return new AppError('locked', `Cannot remove volume ${quote(name)}: it is protected`, {
    hint: `Take the protection away first: "holdfast volume unprotect ${name}".`,
  });
}
