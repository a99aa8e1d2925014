// Counters as they come by, one a second, turned into rates.
//
// A gap (a hidden tab, a lost connection, a gateway that began anew) stays a gap: no rate is made
// across it and nothing is drawn there.
export interface Point {
  /** Seconds since 1970. */
  at: number;
  calls: number;
  errors: number;
  p50: number | null;
  p99: number | null;
  mean: number | null;
}

export const KEPT = 180;
/** Events come once a second; one may be late. */
const GAP_SECONDS = 3.5;
/** Two readings closer than this (the first ones after connecting) would make a rate of noise. */
const NEAR_SECONDS = 0.5;

/** `points` with one more; `null` in the list is a gap. */
export type Series = (Point | null)[];

export function push(series: Series, point: Point): void {
  const last = series.at(-1) ?? null;
  if (last !== null) {
    if (point.at - last.at < NEAR_SECONDS) return;
    const began = point.calls < last.calls || point.errors < last.errors;
    if (point.at - last.at > GAP_SECONDS || began) series.push(null);
  }
  series.push(point);
  while (series.length > KEPT) series.shift();
}

export interface Rates {
  at: number[];
  calls: (number | null)[];
  errors: (number | null)[];
  p50: (number | null)[];
  p99: (number | null)[];
  /** From and to of each gap. */
  gaps: [number, number][];
}

export function rates(series: Series): Rates {
  const made: Rates = { at: [], calls: [], errors: [], p50: [], p99: [], gaps: [] };
  let before: Point | null = null;
  let ended: number | null = null;
  for (const point of series) {
    if (point === null) {
      ended = before?.at ?? ended;
      before = null;
      continue;
    }
    if (before !== null) {
      const seconds = point.at - before.at;
      add(made, point.at, (point.calls - before.calls) / seconds, (point.errors - before.errors) / seconds, point);
    } else if (ended !== null) {
      made.gaps.push([ended, point.at]);
      add(made, point.at, null, null, null);
    }
    before = point;
  }
  return made;
}

function add(made: Rates, at: number, calls: number | null, errors: number | null, point: Point | null): void {
  made.at.push(at);
  made.calls.push(calls);
  made.errors.push(errors);
  made.p50.push(point?.p50 ?? null);
  made.p99.push(point?.p99 ?? null);
}

export interface Figures {
  /** Calls a second. */
  rate: number;
  /** Failed calls of all; null where none came. */
  failed: number | null;
  calls: number;
  seconds: number;
}

/** Over the last `seconds`; null until there are two points without a gap between them. */
export function figures(series: Series, seconds: number): Figures | null {
  const last = series.at(-1) ?? null;
  if (last === null) return null;
  let first = last;
  for (let index = series.length - 2; index >= 0; index -= 1) {
    const point = series[index] ?? null;
    if (point === null || last.at - point.at > seconds + 0.5) break;
    first = point;
  }
  const span = last.at - first.at;
  if (span <= 0) return null;
  const calls = last.calls - first.calls;
  return { rate: calls / span, failed: calls === 0 ? null : (last.errors - first.errors) / calls, calls, seconds: Math.round(span) };
}
