// Where in a document's text a key's path stands, and the other way round.
//
// Good enough for what teams write (block YAML by indentation, flow maps on one line, JSON printed
// over lines): a path that is not found ends at the deepest key above it that is.
//
// Not here: reading YAML. The gateway does that, and its line wins where it names one.
import { segments } from './form.ts';
import type { Problem } from './types.ts';

/** From 1; null where a problem is about no place. */
export function lineOf(text: string, problem: Problem): number | null {
  if (typeof problem.line === 'number') return problem.line;
  const steps = segments(problem.where);
  return steps.length === 0 ? null : lineOfPath(text, steps);
}

export function lineOfPath(text: string, steps: (string | number)[]): number | null {
  const lines = text.split('\n');
  let [from, to, indent] = [0, lines.length, -1];
  let found: number | null = null;
  const rest = [...steps];
  while (rest.length > 0) {
    // A name with dots (a service, a method) may stand unquoted in a path.
    const hit = find(lines, from, to, indent, rest);
    if (hit === null) {
      const step = String(rest[0]);
      if (found !== null && typeof rest[0] === 'string' && keyIn(lines[found]!, step)) return found + 1;
      break;
    }
    found = hit.line;
    indent = indentOf(lines[found]!);
    from = hit.inline ? found : found + 1;
    to = endOf(lines, found, indent);
    rest.splice(0, hit.taken);
    if (hit.inline) break;
  }
  return found === null ? null : found + 1;
}

interface Hit {
  line: number;
  taken: number;
  inline: boolean;
}

function find(lines: string[], from: number, to: number, indent: number, rest: (string | number)[]): Hit | null {
  const first = rest[0]!;
  if (typeof first === 'number') {
    const items = block(lines, from, to, indent).filter((line) => /^\s*-(\s|$)/.test(lines[line]!));
    const line = items[first];
    return line === undefined ? null : { line, taken: 1, inline: false };
  }
  const keys = block(lines, from, to, indent);
  for (let taken = rest.length; taken >= 1; taken -= 1) {
    const parts = rest.slice(0, taken);
    if (parts.some((part) => typeof part === 'number')) continue;
    const name = parts.join('.');
    const line = keys.find((at) => keyOf(lines[at]!) === name || keyOf(lines[at]!) === slashed(name));
    if (line !== undefined) return { line, taken, inline: false };
  }
  return null;
}

/** `a.b.C/D` keeps its slash in a path; nothing to do but to compare as it is. */
const slashed = (name: string): string => name.replace(/\.(\*)$/, '/$1');

/** Lines of the keys or items directly below. */
function block(lines: string[], from: number, to: number, indent: number): number[] {
  let own: number | null = null;
  const found: number[] = [];
  for (let line = from; line < to; line += 1) {
    const text = lines[line]!;
    if (/^\s*(#.*)?$/.test(text)) continue;
    const at = indentOf(text);
    if (at <= indent && !(at === indent && /^\s*-/.test(text))) break;
    own ??= at;
    if (at === own) found.push(line);
  }
  return found;
}

function endOf(lines: string[], line: number, indent: number): number {
  for (let next = line + 1; next < lines.length; next += 1) {
    const text = lines[next]!;
    if (!/^\s*(#.*)?$/.test(text) && indentOf(text) <= indent && !/^\s*-/.test(text)) return next;
  }
  return lines.length;
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

function keyOf(line: string): string | null {
  const match = /^\s*(?:- )?(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s#'"{[][^#]*?))\s*:(?:\s|$|,)/.exec(line);
  return match === null ? null : (match[1] ?? match[2] ?? match[3] ?? null);
}

function keyIn(line: string, name: string): boolean {
  return new RegExp(`[{,]\\s*"?${name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}"?\\s*:`).test(line);
}

/** The keys that lead to the line at `line` (from 1), from the outermost. */
export function pathAt(text: string, line: number): string[] {
  const lines = text.split('\n');
  const path: string[] = [];
  let below = Infinity;
  for (let at = Math.min(line, lines.length) - 1; at >= 0; at -= 1) {
    const row = lines[at]!;
    if (/^\s*(#.*)?$/.test(row)) continue;
    const indent = indentOf(row);
    if (indent >= below) continue;
    const key = keyOf(row);
    if (key === null) continue;
    path.unshift(key);
    below = indent;
    if (indent === 0) break;
  }
  return path;
}
