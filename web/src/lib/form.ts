// What a form of settings knows without asking: what typed text becomes, which limit it breaks,
// what changed. The gateway judges (SE-1); a limit here is only said early.
//
// A value that is no number is kept as it was typed, so that nothing is lost and the gateway's own
// sentence about it can be read.
//
// Not here: widgets (`src/form`).
import { durationToJson, durationToText } from './duration.ts';
import type { Field, Json, Problem } from './types.ts';

const WHOLE = new Set(['int32', 'uint32']);
const WIDE = new Set(['int64', 'uint64']);
const REAL = new Set(['float', 'double']);

export const isNumber = (kind: string): boolean => WHOLE.has(kind) || WIDE.has(kind) || REAL.has(kind);

/** The JSON of one value from what was typed. */
export function fromText(kind: string, text: string): Json {
  const trimmed = text.trim();
  if (WHOLE.has(kind)) return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed;
  if (WIDE.has(kind)) return trimmed;
  if (REAL.has(kind)) return /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : trimmed;
  if (kind === 'duration') return durationToJson(trimmed) ?? trimmed;
  if (kind === 'json') return parsed(trimmed);
  if (kind === 'timestamp' || kind === 'bytes') return trimmed;
  return text;
}

/** JSON, or the words as they stand while it is none yet. */
function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

export function toText(kind: string, value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (kind === 'json') return JSON.stringify(value);
  if (kind === 'duration' && typeof value === 'string') return durationToText(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A value to begin with where nothing stands yet, for one item of the field. */
export function blank(field: Field): Json {
  switch (field.kind) {
    case 'bool': return false;
    case 'enum': return field.values[0] ?? '';
    case 'rollout': return { per_mille: 0 };
    case 'message': case 'json': return {};
    case 'duration': return '0s';
    default: return isNumber(field.kind) ? (WIDE.has(field.kind) ? '0' : 0) : '';
  }
}

export function same(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => same(item, other[index]));
  }
  const [left, right] = [one as Record<string, Json>, other as Record<string, Json>];
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => key in right && same(left[key], right[key]));
}

export interface Change {
  field: string;
  before: Json | undefined;
  after: Json | undefined;
  /** The field goes back to its default. */
  reset: boolean;
}

/** What `edits` would change of the values that are live; what is typed back is no change. */
export function changes(fields: Field[], live: Record<string, Json>, written: Record<string, Json>, edits: Record<string, Json>): Change[] {
  return fields
    .filter(({ name }) => name in edits)
    .map(({ name, default: fallback }) => {
      const reset = edits[name] === null;
      return { field: name, before: live[name], after: reset ? fallback : edits[name], reset };
    })
    .filter(({ field, before, after, reset }) => (reset ? field in written : !same(before, after)));
}

export interface Hint {
  /** "is at most 60". */
  must: string;
  /** The whole value of the field with the nearest allowed one in it. */
  nearest: Json | undefined;
}

/** The first limit that a value of `field` breaks; null where none is known to be broken. */
export function hint(field: Field, value: Json): Hint | null {
  if (field.map && typeof value === 'object' && value !== null) {
    const size = Object.keys(value).length;
    return tooMany(field, size, undefined);
  }
  if (field.repeated && Array.isArray(value)) {
    const most = field.max_items === null ? null : Number(field.max_items);
    const few = tooMany(field, value.length, most === null ? undefined : value.slice(0, most));
    if (few) return few;
    for (const [index, item] of value.entries()) {
      const found = one(field, item);
      if (found) {
        const nearest = found.nearest === undefined ? undefined : value.with(index, found.nearest);
        return { must: `${index + 1}: ${found.must}`, nearest };
      }
    }
    return null;
  }
  return one(field, value);
}

function tooMany(field: Field, size: number, nearest: Json | undefined): Hint | null {
  if (field.max_items === null || field.max_items === undefined || size <= Number(field.max_items)) return null;
  return { must: said(field, 'max_') ?? `has at most ${field.max_items} items`, nearest };
}

function one(field: Field, value: Json): Hint | null {
  if (isNumber(field.kind)) {
    const number = decimal(value);
    if (number === null) {
      const words = typeof value === 'string' && /^-?(NaN|Infinity)$/.test(value) && REAL.has(field.kind);
      return words ? null : { must: REAL.has(field.kind) ? 'is a number' : 'is a whole number', nearest: undefined };
    }
    if (field.max !== null && above(value, field.max)) {
      return { must: said(field, '.lt') ?? `is at most ${field.max}`, nearest: fromText(field.kind, field.max) };
    }
    if (field.min !== null && above(field.min, value)) {
      return { must: said(field, '.gt') ?? `is at least ${field.min}`, nearest: fromText(field.kind, field.min) };
    }
    return null;
  }
  if (field.kind === 'string' && typeof value === 'string') {
    const size = [...value].length;
    if (field.max_len !== null && size > Number(field.max_len)) {
      return { must: said(field, 'max_len') ?? `has at most ${field.max_len} characters`, nearest: [...value].slice(0, Number(field.max_len)).join('') };
    }
    if (field.min_len !== null && size < Number(field.min_len)) {
      return { must: said(field, 'min_len') ?? `has at least ${field.min_len} characters`, nearest: undefined };
    }
    return null;
  }
  if (field.kind === 'duration' && typeof value === 'string' && !/^-?\d+(\.\d{1,9})?s$/.test(value)) {
    return { must: 'is a duration: 250ms, 1.5s, 10m, 2h', nearest: undefined };
  }
  if (field.kind === 'timestamp' && typeof value === 'string' && value !== '' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(value)) {
    return { must: 'is a moment: 2026-11-28T10:00:00Z', nearest: undefined };
  }
  return null;
}

const said = (field: Field, part: string): string | undefined =>
  field.rules.find((rule) => rule.rule.includes(part))?.must;

function decimal(value: Json): number | null {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** `one > other`, exactly for whole numbers of any size. */
function above(one: Json, other: Json): boolean {
  const [left, right] = [String(one), String(other)];
  if (/^-?\d+$/.test(left) && /^-?\d+$/.test(right)) return BigInt(left) > BigInt(right);
  return Number(left) > Number(right);
}

/** The limits of a field in words, from its rules; empty where it has none. */
export function limits(field: Field): string {
  return field.rules.map(({ must }) => must).join(' · ');
}

export interface AtField {
  field: string;
  /** Inside the field: `['limits', 'max']`, `[2]`. */
  inside: (string | number)[];
  problem: Problem;
  /** The nearest value that is allowed there; undefined where none is named. */
  nearest: Json | undefined;
}

/** Which field each problem is about; what belongs to none comes back in `others`. */
export function atFields(fields: Field[], problems: Problem[]): { at: AtField[]; others: Problem[] } {
  const at: AtField[] = [];
  const others: Problem[] = [];
  for (const problem of problems) {
    const steps = placeOf(fields, problem);
    if (steps === null) others.push(problem);
    else at.push({ field: String(steps[0]), inside: steps.slice(1), problem, nearest: nearestOf(problem) });
  }
  return { at, others };
}

function placeOf(fields: Field[], problem: Problem): (string | number)[] | null {
  const known = new Set(fields.map(({ name }) => name));
  const steps = segments(problem.where);
  const after = steps.lastIndexOf('values');
  if (after >= 0 && known.has(String(steps[after + 1]))) return steps.slice(after + 1);
  // A service's name has dots as well, so what stands last is believed first.
  for (let index = steps.length - 1; index >= 0; index -= 1) {
    if (known.has(String(steps[index]))) return steps.slice(index);
  }
  const said = segments(problem.what.split(' ')[0] ?? '');
  return known.has(String(said[0])) ? said : null;
}

/** `a["b.c"].d[2]` as its steps. */
export function segments(path: string): (string | number)[] {
  const steps: (string | number)[] = [];
  for (const [, quoted, index, name] of path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)) {
    if (quoted !== undefined) steps.push(quoted.replace(/\\(.)/g, '$1'));
    else steps.push(index !== undefined ? Number(index) : name!);
  }
  return steps;
}

function nearestOf(problem: Problem): Json | undefined {
  const text = /^write (.+), the nearest value that is allowed/.exec(problem.fix)?.[1];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** `value` with `to` at `inside`; what is on the way and missing is made. */
export function put(value: Json | undefined, inside: (string | number)[], to: Json): Json {
  const [first, ...rest] = inside;
  if (first === undefined) return to;
  if (typeof first === 'number') {
    const list = Array.isArray(value) ? [...value] : [];
    list[first] = put(list[first], rest, to);
    return list;
  }
  const object = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  return { ...object, [first]: put(object[first], rest, to) };
}
