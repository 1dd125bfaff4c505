import { type Colour, type Paint, paintLines } from './colour.ts';
import { printableField, printableJson, printableLines } from '../../model/quote.ts';

/** A result in each form of output. Only the requested form is computed. */
export interface View {
  /** One JSON document, stable and documented. */
  readonly json: () => unknown;
  readonly text: () => string;
  /** Further forms, by the word for `--format`: those that the command's definition names. */
  readonly forms?: Readonly<Record<string, () => string>> | undefined;
  /** Words at the beginning of lines that a terminal colours. */
  readonly colours?: Readonly<Record<string, Colour>> | undefined;
  /** For scripts with `--quiet`: names or ids, one per line. Absent means no output. */
  readonly quiet?: (() => readonly string[]) | undefined;
}

/** Prints results to standard output. Removes foreign control characters from every form. */
export interface Printer {
  print(view: View): void;
}

export interface PrinterChoice {
  /** `table`, `json`, or one of the command's own forms. */
  readonly format: string;
  readonly quiet: boolean;
  readonly paint: Paint;
}

/** JSON wins over quiet: a program that asks for a document gets one. */
export function choosePrinter(choice: PrinterChoice, write: (text: string) => void): Printer {
  if (choice.format === 'json') return jsonPrinter(write);
  if (choice.format !== 'table') return formPrinter(write, choice.format);
  return choice.quiet ? quietPrinter(write) : textPrinter(write, choice.paint);
}

function jsonPrinter(write: (text: string) => void): Printer {
  return { print: (view) => write(`${printableJson(JSON.stringify(view.json(), asJson, 2))}\n`) };
}

/** Every field is always present, and numbers that JSON cannot hold are text. */
function asJson(_key: string, value: unknown): unknown {
  if (value === undefined) return null;
  return typeof value === 'bigint' ? value.toString() : value;
}

function textPrinter(write: (text: string) => void, paint: Paint): Printer {
  return {
    print: ({ text, colours }) => {
      const shown = printableLines(text());
      write(withLineEnd(colours === undefined ? shown : paintLines(shown, colours, paint)));
    },
  };
}

function formPrinter(write: (text: string) => void, form: string): Printer {
  return { print: (view) => write(withLineEnd(printableLines((view.forms?.[form] ?? view.text)()))) };
}

function quietPrinter(write: (text: string) => void): Printer {
  return { print: (view) => write(withLineEnd((view.quiet?.() ?? []).map(printableField).join('\n'))) };
}

function withLineEnd(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
