// How every part of the program says what it does: one function, passed in. Fields are flat and small: ids, names,
// counts, durations. Never a payload, a key or a preimage.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Says nothing. */
export const silent: Log = () => {};

/** `log` with `fields` added to every line. */
export function withFields(log: Log, fields: LogFields): Log {
  return (level, message, more) => log(level, message, { ...fields, ...more });
}

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * Writes one JSON object a line: time (ISO 8601), level, message, fields. Lines below `least` are left out.
 *
 * `write` gets each line with its end; `clock` gives milliseconds since 1970.
 */
export function jsonLines(write: (line: string) => void, clock: () => number, least: LogLevel = 'info'): Log {
  return (level, message, fields) => {
    if (order[level] < order[least]) return;
    const line = { time: new Date(clock()).toISOString(), level, message, ...fields };
    write(
      `${JSON.stringify(line, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`,
    );
  };
}

/** What to log of something caught. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
