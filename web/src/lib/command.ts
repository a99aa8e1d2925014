// The command that does the same as an act of the page.
//
// What is shown can be copied into a POSIX shell: each word is quoted as it must be.
import type { Json } from './types.ts';

/** One word of a shell. */
export function word(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A sentence, in double quotes where that is enough, as people write it. */
export function sentence(text: string): string {
  if (!/["$`\\!\n]/.test(text)) return `"${text}"`;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const message = (why: string): string => `-m ${sentence(why === '' ? '…' : why)}`;

/** A word where it can be taken for nothing else, JSON otherwise; `FIELD=` is the default. */
function value(json: Json): string {
  if (json === null) return '';
  return typeof json === 'string' && !isJson(json) ? json : JSON.stringify(json);
}

function isJson(text: string): boolean {
  if (text === '') return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export interface Named {
  namespace: string;
  service: string;
  why: string;
}

/** `tandem settings set SERVICE FIELD=VALUE… -n NS -m "…"`; `null` takes a field back to its default. */
export function settingsSet(of: Named & { edits: Record<string, Json>; draft?: boolean }): string {
  const fields = Object.entries(of.edits).map(([field, json]) => word(`${field}=${value(json)}`));
  const draft = of.draft ? ' --draft' : '';
  return `tandem settings set ${word(of.service)} ${fields.join(' ')} -n ${word(of.namespace)} ${message(of.why)}${draft}`;
}

export function settingsRollback(of: Named & { to: number }): string {
  return `tandem settings rollback ${word(of.service)} --to ${of.to} -n ${word(of.namespace)} ${message(of.why)}`;
}

export function apply(of: { namespace: string; why: string; draft?: boolean }): string {
  return `tandem apply ${word(`teams/${of.namespace}.yaml`)} ${message(of.why)}${of.draft ? ' --draft' : ''}`;
}

export function noiseAccept(of: { namespace: string; method: string; path: string; rule: string; why: string }): string {
  const rule = of.rule === 'ignore' ? '' : ` --as ${word(of.rule)}`;
  return `tandem noise accept ${word(of.method)} ${word(of.path)}${rule} -n ${word(of.namespace)} ${message(of.why)}`;
}

export function publishDraft(of: { namespace: string; why: string }): string {
  return `tandem publish ${word(of.namespace)} ${message(of.why)}`;
}

export function rollback(of: { namespace: string; to: number; why: string }): string {
  return `tandem rollback ${word(of.namespace)} --to ${of.to} ${message(of.why)}`;
}

export function memberAdd(of: { namespace: string; who: string; role: string }): string {
  return `tandem member add ${word(of.namespace)} ${word(of.who || 'user:NAME')} --role ${of.role}`;
}

export function memberRemove(of: { namespace: string; who: string }): string {
  return `tandem member remove ${word(of.namespace)} ${word(of.who)}`;
}

export function keyCreate(of: { namespace: string; name: string; scopes: string[]; days: number | null }): string {
  const scopes = of.scopes.map((scope) => ` --scope ${word(scope)}`).join('');
  return `tandem key create ${word(of.namespace)} ${word(of.name || 'NAME')}${scopes}${expires(of.days)}`;
}

export function keyRevoke(of: { namespace: string; id: string }): string {
  return `tandem key revoke ${word(of.namespace)} ${word(of.id)}`;
}

/** The value is read from standard input, so that it stands in no history of a shell. */
export function secretSet(of: { namespace: string; name: string }): string {
  return `tandem secret set ${word(of.namespace)} ${word(of.name || 'NAME')}`;
}

export function secretRemove(of: { namespace: string; name: string }): string {
  return `tandem secret remove ${word(of.namespace)} ${word(of.name)}`;
}

export function tokenCreate(of: { name: string; admin: boolean; days: number | null }): string {
  return `tandem token create ${word(of.name || 'NAME')}${of.admin ? ' --platform-admin' : ''}${expires(of.days)}`;
}

export function tokenRevoke(of: { id: string }): string {
  return `tandem token revoke ${word(of.id)}`;
}

export function auditVerify(of: { namespace: string | null; head: string }): string {
  return `tandem audit verify${of.namespace === null ? '' : ` ${word(of.namespace)}`}${of.head === '' ? '' : ` --head ${word(of.head)}`}`;
}

const expires = (days: number | null): string => (days === null ? '' : ` --expires ${days}`);
