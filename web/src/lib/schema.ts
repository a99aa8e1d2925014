// What the schema of a team's document says about a key: help for the editor.
//
// The schema is the one that `tandem config schema namespace` prints; it is taken in when the page
// is built, so the two cannot differ.
import schema from '../../../crates/config/schema/namespace.schema.json' with { type: 'json' };

export interface Node {
  description?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  required?: string[];
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  items?: Node;
  anyOf?: Node[];
  oneOf?: Node[];
  $ref?: string;
}

export interface Help {
  path: string[];
  text: string;
  /** What may stand there: `true or false`, `none`, `250ms`. */
  values: string;
  keys: { name: string; text: string; required: boolean }[];
}

const root = schema as Node;

/** Help for the key at `path`, or for the deepest above it that the schema knows. */
export function help(path: string[]): Help {
  let node = root;
  const known: string[] = [];
  for (const key of path) {
    const next = below(node, key);
    if (next === null) break;
    node = next;
    known.push(key);
  }
  const forms = formsOf(node);
  const keys = forms.flatMap((form) =>
    Object.entries(form.properties ?? {}).map(([name, of]) => ({
      name,
      text: textOf(of),
      required: form.required?.includes(name) ?? false,
    })),
  );
  return { path: known, text: textOf(node), values: valuesOf(forms), keys };
}

function resolve(node: Node): Node {
  let at = node;
  for (let hops = 0; at.$ref !== undefined && hops < 8; hops += 1) {
    const { $ref, ...own } = at;
    let target: unknown = root;
    for (const part of $ref.split('/').slice(1)) target = (target as Record<string, unknown>)[part];
    // A description beside the reference is nearer to the key.
    at = { ...(target as Node), ...own };
  }
  return at;
}

function formsOf(node: Node): Node[] {
  const at = resolve(node);
  return [at, ...(at.anyOf ?? []).flatMap(formsOf), ...(at.oneOf ?? []).flatMap(formsOf)];
}

function below(node: Node, key: string): Node | null {
  for (const form of formsOf(node)) {
    const property = form.properties?.[key];
    if (property !== undefined) return property;
    if (typeof form.additionalProperties === 'object') return form.additionalProperties;
  }
  return null;
}

const textOf = (node: Node): string => resolve(node).description ?? '';

function valuesOf(forms: Node[]): string {
  const said: string[] = [];
  for (const form of forms) {
    if (form.const !== undefined) said.push(String(form.const));
    if (form.enum !== undefined) said.push(...form.enum.map(String));
    if (form.type === 'boolean' && form.const === undefined) said.push('true', 'false');
    if (form.examples !== undefined) said.push(`like ${form.examples.map(String).join(', ')}`);
    if (form.minimum !== undefined && form.maximum !== undefined) said.push(`${form.minimum} to ${form.maximum}`);
    if (form.default !== undefined) said.push(`default ${String(form.default)}`);
  }
  return [...new Set(said)].join(' · ');
}
