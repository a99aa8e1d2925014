// What the mock gateway knows: namespaces with documents, versions, drafts, settings with rules.
//
// The documents are YAML of one shape (block maps, values of settings as JSON on one line), which is
// all that is read of them here; a real gateway reads all of YAML.
import { createHash } from 'node:crypto';
import { LINE as MIRRORED } from './pairs.mjs';

export const ROLES = ['viewer', 'editor', 'publisher', 'owner'];
export const SERVICE = 'tandem.cases.catalogue.v1.Catalogue';
const SEARCH = 'tandem.cases.search.v1.Search';
const START = Date.now();
export const before = (seconds) => new Date(START - seconds * 1000).toISOString();

const field = (name, kind, more = {}) => ({
  name,
  label: (name[0].toUpperCase() + name.slice(1)).replaceAll('_', ' '),
  comment: '',
  kind,
  repeated: false,
  map: false,
  default: { bool: false, string: '', bytes: '', rollout: null, message: null, enum: null, duration: null, timestamp: null, int64: '0', uint64: '0' }[kind] ?? (kind in { bool: 0, rollout: 0, message: 0, enum: 0, duration: 0, timestamp: 0 } ? null : 0),
  rules: [],
  min: null,
  max: null,
  max_items: null,
  min_len: null,
  max_len: null,
  values: [],
  fields: [],
  ...more,
});

const CATALOGUE_FIELDS = [
  field('max_discount_percent', 'int32', {
    comment: 'The largest discount that an order may get, in percent of the price.',
    rules: [{ rule: 'int32.gte', value: '0', must: 'is at least 0' }, { rule: 'int32.lte', value: '60', must: 'is at most 60' }],
    min: '0',
    max: '60',
  }),
  field('hidden_categories', 'string', {
    comment: 'Categories that no list shows.',
    repeated: true,
    default: [],
    rules: [{ rule: 'repeated.max_items', value: '5', must: 'has at most 5 items' }],
    max_items: 5,
  }),
  field('new_price_format', 'rollout', { comment: 'Prices with their currency behind them, for a share of the accounts. Growing the share switches nobody back.', default: {} }),
];

const SEARCH_FIELDS = [
  field('ranking', 'enum', { comment: 'What comes first.', values: ['RELEVANCE', 'NEWEST', 'CHEAPEST'], default: 'RELEVANCE' }),
  field('suggest', 'bool', { comment: 'Whether words are completed while they are typed.' }),
  field('title_boost', 'double', {
    comment: 'How much more a word in the title counts.',
    default: 1,
    rules: [{ rule: 'double.gte', value: '0.1', must: 'is at least 0.1' }, { rule: 'double.lte', value: '10', must: 'is at most 10' }],
    min: '0.1',
    max: '10',
  }),
  field('answer_within', 'duration', { comment: 'After this time a search answers with what it has.', default: '0.500s' }),
  field('greeting', 'string', { rules: [{ rule: 'string.max_len', value: '40', must: 'has at most 40 characters' }], max_len: 40, comment: 'Shown above an empty result.' }),
  field('synonyms', 'string', { map: true, default: {}, comment: 'What else a word means.' }),
  field('index_from', 'timestamp', { comment: 'Older products are left out.' }),
  field('limits', 'message', {
    comment: 'Bounds of one search.',
    default: {},
    fields: [
      field('results', 'uint32', { comment: 'In one answer.', default: 50, rules: [{ rule: 'uint32.lte', value: '500', must: 'is at most 500' }], min: '0', max: '500' }),
      field('bytes_scanned', 'uint64', { comment: 'Of the index.', default: '0' }),
    ],
  }),
];

export const document = (name, { host, upstream, services, settings, address = '127.0.0.1:50051' }) => `# The team of ${name}.
namespace: ${name}
hosts: [${host}]
contract: { reflection: ${upstream} }
upstreams:
  ${upstream}:
    address: "${address}"
    connections: 1
defaults:
  primary: ${upstream}
  auth: { public: true }
  deadline: { default: 2s, max: 10s }
methods:
${services.map((service) => `  ${service}/*: {}`).join('\n')}${name === 'shop' ? `\n${MIRRORED}` : ''}
${Object.entries(settings).length === 0 ? '' : `settings:\n${Object.entries(settings).map(([service, values]) => `  ${service}:\n    values: ${JSON.stringify(values)}\n    require: none\n`).join('')}`}`;

/** The values of a service in a document's text; undefined where it says none. */
export function valuesIn(text, service) {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line === `  ${service}:`);
  if (at < 0) return undefined;
  const line = lines.slice(at + 1).find((one) => !one.startsWith('    ') || one.startsWith('    values: '));
  return line?.startsWith('    values: ') ? JSON.parse(line.slice('    values: '.length)) : undefined;
}

export function withValues(text, service, values) {
  const line = `    values: ${JSON.stringify(values)}`;
  const lines = text.split('\n');
  const at = lines.findIndex((one) => one === `  ${service}:`);
  if (at >= 0) {
    const old = lines.findIndex((one, index) => index > at && one.startsWith('    values: '));
    lines.splice(old, 1, line);
    return lines.join('\n');
  }
  return `${text}settings:\n  ${service}:\n${line}\n    require: none\n`;
}

/** What the shop's settings were, the oldest first; a real gateway is told it over again. */
export const HISTORY = [
  { who: 'gateway', as: 'owner', seconds: 86_400 * 9, why: 'the file of the first start', values: { max_discount_percent: 10 } },
  { who: 'user:mira', as: 'publisher', seconds: 86_400 * 5, why: 'spring sale', values: { max_discount_percent: 25, hidden_categories: ['archive'] } },
  { who: 'user:mira', as: 'publisher', seconds: 86_400 * 2, why: 'spring sale is over', values: { max_discount_percent: 20, hidden_categories: ['archive'] } },
  { who: 'user:ann', as: 'owner', seconds: 1500, why: 'new prices for one in ten', values: { max_discount_percent: 20, hidden_categories: ['archive'], new_price_format: { per_mille: 100 } } },
];

/** Every leaf of a document by its path. */
function leaves(text) {
  const found = new Map();
  const stack = [];
  for (const line of text.split('\n')) {
    const match = /^( *)([^\s#][^:]*(?:\/\*)?):(?:\s+(.*))?$/.exec(line);
    if (match === null) continue;
    const depth = match[1].length / 2;
    const key = /[./]/.test(match[2]) ? `["${match[2]}"]` : match[2];
    stack.length = depth;
    stack[depth] = key;
    const path = stack.reduce((all, step) => (all === '' || step.startsWith('[') ? all + step : `${all}.${step}`), '');
    if (match[3] === undefined || match[3] === '') continue;
    if (path.endsWith('.values')) for (const [name, value] of Object.entries(JSON.parse(match[3]))) found.set(`${path}.${name}`, value);
    else found.set(path, match[3]);
  }
  return found;
}

export function diff(one, other) {
  const [left, right] = [leaves(one), leaves(other)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((path) => JSON.stringify(left.get(path)) !== JSON.stringify(right.get(path)))
    .sort((a, b) => Number(b.endsWith('.primary')) - Number(a.endsWith('.primary')) || (a < b ? -1 : 1))
    .map((path) => ({ path, before: left.get(path) ?? null, after: right.get(path) ?? null }));
}

export const problem = (code, where, what, why, fix, more = {}) => ({ code, severity: 'error', where, what, why, fix, ...more });

const KEYS = ['namespace', 'hosts', 'contract', 'upstreams', 'defaults', 'methods', 'settings'];

/** What a gateway would say of a text. */
export function check(namespace, text) {
  const problems = [];
  text.split('\n').forEach((line, index) => {
    const at = { line: index + 1, column: 1 };
    const key = /^([^\s#:][^:]*):/.exec(line)?.[1];
    if (key !== undefined && !KEYS.includes(key)) {
      const near = KEYS.find((known) => known[0] === key[0]);
      problems.push(problem('TND0101', key, `unknown key \`${key}\``, '', near ? `did you mean \`${near}\`?` : 'take it away', at));
    }
    const named = /^namespace: (.*)$/.exec(line)?.[1];
    if (named !== undefined && named !== namespace.name) problems.push(problem('TND0102', 'namespace', `this is the document of \`${namespace.name}\``, 'a document names its own namespace', `write ${namespace.name}`, at));
    const json = /^    values: (.*)$/.exec(line)?.[1];
    if (json !== undefined) {
      try {
        JSON.parse(json);
      } catch (error) {
        problems.push(problem('TND0102', 'settings', `no JSON: ${error.message}`, '', 'write an object', at));
      }
    }
  });
  if (problems.length > 0) return problems;
  for (const [service, fields] of Object.entries(namespace.settings)) problems.push(...judge(service, fields, valuesIn(text, service) ?? {}));
  return problems;
}

/** Values against the rules, as `config::settings` says it. */
export function judge(service, fields, values) {
  const problems = [];
  const refuse = (path, must, rule, nearest) =>
    problems.push(problem('TND0122', `settings["${service}"].values.${path}`, `${path} ${must} (rule ${rule})`, "the service's contract says so",
      nearest === undefined ? 'write another value' : `write ${JSON.stringify(nearest)}, the nearest value that is allowed`));
  const each = (list, of, above) => {
    for (const one of list) {
      const value = of?.[one.name];
      const path = above + one.name;
      if (value === undefined || value === null) continue;
      if (one.repeated) {
        if (!Array.isArray(value)) refuse(path, 'is a list', 'type');
        else if (one.max_items !== null && value.length > one.max_items) refuse(path, `has at most ${one.max_items} items`, 'repeated.max_items');
      } else if (['int32', 'uint32', 'double', 'float'].includes(one.kind)) {
        if (typeof value !== 'number' || (one.kind.includes('int') && !Number.isInteger(value))) refuse(path, `is refused: ${JSON.stringify(value)} is no number of this kind`, 'type');
        else if (one.max !== null && value > Number(one.max)) refuse(path, `is at most ${one.max}`, `${one.kind}.lte`, Number(one.max));
        else if (one.min !== null && value < Number(one.min)) refuse(path, `is at least ${one.min}`, `${one.kind}.gte`, Number(one.min));
      } else if (one.kind === 'string' && !one.map && one.max_len !== null && value.length > one.max_len) refuse(path, `has at most ${one.max_len} characters`, 'string.max_len', value.slice(0, one.max_len));
      else if (one.kind === 'duration' && !/^-?\d+(\.\d+)?s$/.test(value)) refuse(path, `is refused: "${value}" is no duration`, 'type');
      else if (one.kind === 'message') each(one.fields, value, `${path}.`);
    }
  };
  for (const name of Object.keys(values)) if (!fields.some((one) => one.name === name)) refuse(name, 'is no field of the message', 'type');
  each(fields, values, '');
  return problems;
}

const digest = (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

function namespace(name, role, options) {
  const { history, settings = {}, instances = {}, access = {}, problems = [], contract = true } = options;
  const versions = history.map(([who, seconds, why, text], index) => ({ number: index + 1, who, when: before(seconds), why, origin: 'published', text }));
  return {
    name, role, versions, settings, instances, access, problems, contract,
    host: options.host, draft: null, drafts: 40,
    methods: options.methods,
    members: [
      { who: 'group:platform', role: 'owner', from: 'platform' },
      { who: 'user:mira', role: 'publisher', from: 'store' },
      { who: 'user:jon', role: 'editor', from: 'store' },
    ],
    keys: [{ id: 'k7f3', name: 'partner-app', scopes: ['products.read'], who: 'user:mira', when: before(86_400 * 12), expires: before(-86_400 * 78) }],
    secrets: [{ name: 'catalogue-ca', fingerprint: '9f1c·22ab' }],
    audit: versions.map((version, index) => ({
      number: index + 1, when: version.when, who: version.who, action: 'publish', object: `document ${name}`, why: version.why, outcome: 'done', source: index === 0 ? 'file' : 'cli',
    })),
  };
}

/** Roles of the mock's tokens. `manager` may change one field and nothing else. */
export const PEOPLE = {
  owner: { who: 'user:ann', roles: { shop: 'owner', search: 'owner', billing: 'owner' }, platform_admin: true },
  publisher: { who: 'user:mira', roles: { shop: 'publisher', search: 'publisher' }, platform_admin: false },
  editor: { who: 'user:jon', roles: { shop: 'editor' }, platform_admin: false },
  viewer: { who: 'user:vic', roles: { shop: 'viewer' }, platform_admin: false },
  manager: { who: 'user:pia', roles: { shop: 'viewer' }, platform_admin: false },
};

export function world() {
  const shop = (values) => document('shop', { host: 'api.example.com', upstream: 'go', services: [SERVICE], settings: { [SERVICE]: values } });
  const search = (values) => document('search', { host: 'search.example.com', upstream: 'rust', services: [SEARCH], settings: { [SEARCH]: values } });
  const billing = document('billing', { host: 'billing.example.com', upstream: 'go', services: ['shop.billing.v1.Ledger'], settings: {} });
  const unary = (name, kind = 'unary', sideEffects = true) => ({ name, kind, sideEffects });
  const namespaces = [
    namespace('shop', 'owner', {
      host: 'api.example.com',
      history: HISTORY.map(({ who, seconds, why, values }) => [who, seconds, why, shop(values)]),
      settings: { [SERVICE]: CATALOGUE_FIELDS },
      access: { max_discount_percent: ['user:pia'] },
      instances: {
        [SERVICE]: [
          { instance: 'catalogue-go-1', version: 4, state: 'applied', reason: null, seen: before(2) },
          { instance: 'catalogue-go-2', version: 4, state: 'applied', reason: null, seen: before(3) },
          { instance: 'catalogue-rust-1', version: 4, state: 'refused', reason: 'new_price_format is not built into this candidate', seen: before(4) },
          { instance: 'catalogue-go-0', version: 3, state: 'gone', reason: null, seen: before(5400) },
        ],
      },
      methods: [
        [SERVICE, unary('GetProduct', 'unary', false), 42], [SERVICE, unary('ListProducts', 'unary', false), 11], [SERVICE, unary('CreateProduct'), 3],
        [SERVICE, unary('UpdateProduct'), 1.4], [SERVICE, unary('WatchProducts', 'server_stream', false), 0],
      ],
    }),
    namespace('search', 'owner', {
      host: 'search.example.com',
      history: [['gateway', 86_400 * 9, 'the file of the first start', search({ ranking: 'RELEVANCE', title_boost: 2, synonyms: { sofa: 'couch' }, limits: { results: 100 } })]],
      settings: { [SEARCH]: SEARCH_FIELDS },
      instances: { [SEARCH]: [{ instance: 'search-rust-1', version: 1, state: 'pending', reason: null, seen: before(20) }] },
      methods: [[SEARCH, unary('Search', 'unary', false), 24], [SEARCH, unary('Suggest', 'unary', false), 0]],
    }),
    namespace('billing', 'owner', {
      host: 'billing.example.com',
      history: [['gateway', 86_400 * 9, 'the file of the first start', billing]],
      contract: false,
      problems: ['no contract yet: 127.0.0.1:50051 did not answer reflection v1 or v1alpha'],
      methods: [],
    }),
  ];
  return {
    namespaces: new Map(namespaces.map((one) => [one.name, one])),
    tokens: [{ id: 't1', name: 'first', who: 'gateway', when: before(86_400 * 9), expires: null, used: before(30) }],
    audit: [{ number: 1, when: before(86_400 * 9), who: 'gateway', action: 'write grants', object: 'grants platform', why: 'the file of the first start', outcome: 'done', source: 'file' }],
    digest,
  };
}
