// Numbers, times and values as people read them. What is not known is `–`, never zero.
import { durationToText } from './duration.ts';
import type { Field, Json } from './types.ts';

export const UNKNOWN = '–';

/** Three significant digits, without an exponent. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : value.toLocaleString('en-US');
}

/** A part of one, as per cent. */
export function share(part: number | null | undefined): string {
  if (part === null || part === undefined || !Number.isFinite(part)) return UNKNOWN;
  if (part === 0) return '0 %';
  const percent = part * 100;
  return percent < 0.01 ? '< 0.01 %' : `${percent.toFixed(percent < 10 ? 2 : 1)} %`;
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  return ms >= 1000 ? `${number(ms / 1000)} s` : `${number(ms)} ms`;
}

/** A length of time in its own unit; `–` where it is not known. */
export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (value < 0.001) return `${number(value * 1e6)} µs`;
  return milliseconds(value * 1000);
}

/** How long something will take, for people. */
export function about(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (value < 90) return `${Math.round(value)} s`;
  return value < 5400 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return value >= 1 << 20 ? `${number(value / (1 << 20))} MiB` : `${number(value / 1024)} KiB`;
}

/** How long ago, in one unit. */
export function ago(when: string, now: number): string {
  const then = Date.parse(when);
  if (Number.isNaN(then)) return UNKNOWN;
  const seconds = Math.round((now - then) / 1000);
  if (seconds < 5) return 'just now';
  for (const [unit, size] of [['d', 86_400], ['h', 3600], ['min', 60]] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** A moment in the reader's own zone, to the second. */
export function moment(when: string): string {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return when;
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A value of a setting or of a document in one line. */
export function value(json: Json | undefined): string {
  if (json === undefined) return 'nothing';
  if (json === null) return 'null';
  if (typeof json === 'string') return json === '' ? '""' : json;
  if (Array.isArray(json)) return json.length === 0 ? 'empty list' : json.map(value).join(', ');
  if (typeof json === 'object') {
    const share = perMille(json);
    if (share !== null) return `${share / 10} % of principals`;
    const entries = Object.entries(json);
    return entries.length === 0 ? '{}' : `{ ${entries.map(([key, of]) => `${key}: ${value(of)}`).join(', ')} }`;
  }
  return String(json);
}

/** As `value`, knowing what kind of field it stands in. */
export function ofKind(kind: string, json: Json | undefined): string {
  if (kind === 'rollout') return `${(perMille(json) ?? 0) / 10} % of principals`;
  if (kind === 'duration' && typeof json === 'string') return durationToText(json);
  if (kind === 'bool') return json === true ? 'on' : 'off';
  return json === null && kind !== 'message' ? 'none' : value(json);
}

/** A whole value of a field. */
export function ofField(field: Field | undefined, json: Json | undefined): string {
  return field === undefined || field.repeated || field.map ? value(json) : ofKind(field.kind, json);
}

/** The share of a rollout, and of nothing else. */
export function perMille(json: Json | undefined): number | null {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  const keys = Object.keys(json);
  if (keys.length > 1 || (keys[0] !== undefined && keys[0] !== 'per_mille' && keys[0] !== 'perMille')) return null;
  if (keys.length === 0) return null;
  const share = json[keys[0]!];
  return typeof share === 'number' ? share : null;
}

export function shortService(service: string): string {
  return service.slice(service.lastIndexOf('.') + 1);
}
