// Asks the admin API.
//
// Every answer that is not a success is a `Refusal` with the problems that the gateway named; a
// gateway that does not answer at all is one with status 0. Nothing is asked of any other origin.
//
// Not here: what a refusal means on a screen.
import type { Problem } from './types.ts';

export class Refusal extends Error {
  readonly status: number;
  readonly problems: Problem[];
  readonly body: Record<string, unknown>;

  constructor(status: number, problems: Problem[], body: Record<string, unknown>) {
    super(problems[0]?.what ?? `the gateway answered ${status}`);
    this.status = status;
    this.problems = problems;
    this.body = body;
  }
}

export interface Answer<T> {
  data: T;
  etag: string | null;
}

export interface Question {
  body?: unknown;
  /** The version that a change was made from, `7`, or the tag of a draft, `"d41"`. */
  from?: number | string;
  /** A draft that must not be there yet. */
  fresh?: boolean;
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

let onLost: () => void = () => {};

/** Calls `then` whenever the gateway no longer knows who asks. */
export function whenSessionIsLost(then: () => void): void {
  onLost = then;
}

/** The path of a resource from its parts, each of them one segment. */
export function path(...parts: (string | number)[]): string {
  return `/${parts.map((part) => encodeURIComponent(part)).join('/')}`;
}

export async function ask<T>(method: Method, where: string, question: Question = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-tandem-csrf'] = '1';
  if (question.body !== undefined) headers['content-type'] = 'application/json';
  if (question.from !== undefined) {
    headers['if-match'] = typeof question.from === 'number' ? `"${question.from}"` : question.from;
  }
  if (question.fresh) headers['if-none-match'] = '*';
  let response: Response;
  let text: string;
  try {
    response = await fetch(`/api/v1${where}`, {
      method,
      headers,
      body: question.body === undefined ? null : JSON.stringify(question.body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
    });
    text = await response.text();
  } catch {
    throw new Refusal(0, [problem('the gateway does not answer', 'see whether it runs: tandem status')], {});
  }
  if (response.ok) {
    return { data: (text === '' ? undefined : JSON.parse(text)) as T, etag: response.headers.get('etag') };
  }
  const body = object(text);
  const problems = Array.isArray(body.problems) && body.problems.length > 0
    ? (body.problems as Problem[])
    : [problem(text.trim().slice(0, 500) || `the gateway answered ${response.status}`, '')];
  if (response.status === 401 && where !== '/session') onLost();
  throw new Refusal(response.status, problems, body);
}

export const get = async <T>(where: string): Promise<T> => (await ask<T>('GET', where)).data;

/** What to show of anything that was thrown. */
export function problemsOf(thrown: unknown): Problem[] {
  if (thrown instanceof Refusal) return thrown.problems;
  return [problem(thrown instanceof Error ? thrown.message : String(thrown), '')];
}

function problem(what: string, fix: string): Problem {
  return { code: '', severity: 'error', where: '', what, why: '', fix };
}

function object(text: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
