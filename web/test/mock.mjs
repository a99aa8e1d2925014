// A gateway's admin listener for the page: docs/manual/admin-api.md, kept in memory.
//
// `node test/mock.mjs [PORT]` serves `dist` and the API; the tests start one each. A token is
// `tnd_ROLE_mock` (owner, publisher, editor, viewer, manager).
//
// Not here: what the namespaces hold and how values are judged (`world.mjs`).
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as live from './pairs.mjs';
import { check, diff, judge, PEOPLE, problem, ROLES, valuesIn, withValues, world } from './world.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
export const POLICY = "default-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const MEDIA = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const COOKIE = '__Host-tandem';
const BODY_MOST = 1024 * 1024;

class No extends Error {
  constructor(status, problems, more = {}) {
    super(String(status));
    this.status = status;
    this.body = { problems: Array.isArray(problems) ? problems : [problem('', '', problems, '', '')], ...more };
  }
}

export async function startMock({ port = 0 } = {}) {
  const state = world();
  const sessions = new Map();
  const links = new Set();
  const streams = new Set();
  const figures = new Map();
  let ticks = 0;

  // ---- who asks
  function personOf(request) {
    const bearer = /^Bearer tnd_([a-z]+)_mock$/.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined && PEOPLE[bearer]) return { ...PEOPLE[bearer], expires: null };
    const cookie = new RegExp(`${COOKIE}=([0-9a-f]+)`).exec(request.headers.cookie ?? '')?.[1];
    const session = sessions.get(cookie);
    if (session === undefined) return null;
    if (request.method !== 'GET' && request.headers['x-tandem-csrf'] !== '1') throw new No(403, 'the header x-tandem-csrf is missing');
    return { ...PEOPLE[session.person], expires: session.expires, cookie };
  }
  const roleOf = (person, namespace) => person.roles[namespace.name] ?? null;
  function needs(person, namespace, role) {
    if (ROLES.indexOf(roleOf(person, namespace)) < ROLES.indexOf(role)) {
      throw new No(403, [problem('TND0402', '', `this needs the role ${role} in \`${namespace.name}\``, '', 'ask an owner of the namespace')]);
    }
  }

  // ---- versions
  const liveOf = (namespace) => namespace.versions.at(-1);
  const short = ({ text: _, ...version }, namespace) => ({ ...version, live: version.number === liveOf(namespace).number });
  function madeFrom(request, namespace) {
    const tag = request.headers['if-match'];
    if (tag === undefined) throw new No(428, 'If-Match is missing');
    const live = liveOf(namespace);
    if (tag !== `"${live.number}"`) {
      throw new No(412, [problem('TND0503', '', `version ${live.number} is live, yours was made from ${tag.replaceAll('"', '')}`, '', 'look at what changed and apply again')], { version: short(live, namespace) });
    }
  }
  function publish(namespace, person, text, why, origin = 'published') {
    if (typeof why !== 'string' || why.trim() === '') throw new No(400, '`why` is missing');
    const problems = check(namespace, text);
    if (problems.length > 0) throw new No(422, problems);
    const version = { number: liveOf(namespace).number + 1, who: person.who, when: new Date().toISOString(), why, origin, text };
    namespace.versions.push(version);
    namespace.draft = null;
    note(namespace.audit, person, 'publish', `document ${namespace.name}`, why);
    for (const list of Object.values(namespace.instances)) {
      for (const one of list.filter(({ state }) => state !== 'gone')) {
        Object.assign(one, { version: version.number, state: 'pending', reason: null });
        setTimeout(() => Object.assign(one, { state: 'applied', seen: new Date().toISOString() }), 700).unref();
      }
    }
    send('change', { namespace: namespace.name, version: version.number, who: version.who, why, when: version.when });
    return short(version, namespace);
  }
  function note(audit, person, action, object, why) {
    audit.push({ number: audit.length + 1, when: new Date().toISOString(), who: person.who, action, object, why: why ?? '', outcome: 'done', source: 'page' });
  }

  // ---- figures
  function send(event, body) {
    for (const response of streams) response.write(`event: ${event}\ndata: ${JSON.stringify(body)}\n\n`);
  }
  const began = Date.now();
  /** By the clock, so that a reading between two events is as true as one at them. */
  function traffic() {
    const seconds = (Date.now() - began) / 1000;
    for (const namespace of state.namespaces.values()) {
      for (const [service, { name }, rate] of namespace.methods) {
        const calls = Math.round(rate * (1000 + seconds + 2.1 * (1 - Math.cos(seconds / 6 + rate))));
        figures.set(`${service}/${name}`, { calls, errors: name === 'UpdateProduct' ? Math.floor(seconds / 5) : 0 });
      }
    }
    ticks = seconds;
  }
  function status(person) {
    traffic();
    const seen = [...state.namespaces.values()].filter((one) => roleOf(person, one));
    return {
      version: '0.1.0', ready: true, threads: 2,
      listeners: { public: '127.0.0.1:8080', internal: '127.0.0.1:8081', admin: '127.0.0.1:9080' },
      namespaces: seen.map(({ name, contract, problems, versions }) => ({ name, contract: contract ? 'reflection' : null, digest: contract ? state.digest(name) : null, problems, version: versions.length })),
      methods: seen.flatMap((namespace) => namespace.methods.map(([service, { name }, rate]) => {
        const { calls, errors } = figures.get(`${service}/${name}`) ?? { calls: 0, errors: 0 };
        const p50 = rate === 0 ? null : 1.2 + 4 / (1 + rate) + 0.3 * Math.sin(ticks / 4);
        return {
          namespace: namespace.name, method: `${service}/${name}`, calls, errors, in_flight: rate > 20 ? 2 : 0, abandoned: 0,
          codes: calls === 0 ? {} : { OK: calls - errors, ...(errors > 0 ? { FAILED_PRECONDITION: errors } : {}) },
          mean_ms: p50 === null ? null : p50 * 1.3, p50_ms: p50, p99_ms: p50 === null ? null : p50 * 6,
        };
      })),
      store: { kind: 'embedded', revision: 1042, writable: true },
      settings: seen.flatMap((namespace) => Object.entries(namespace.instances).map(([service, instances]) => ({ namespace: namespace.name, service, version: liveOf(namespace).number, instances }))),
    };
  }
  /** The live pairs that somebody may see. */
  const pairsOf = (person) => [...state.namespaces.values()]
    .filter((one) => one.name === 'shop' && roleOf(person, one) && live.isMirrored(liveOf(one).text))
    .map((one) => live.pair(liveOf(one).text));
  function tell(response) {
    response.write(`event: status\ndata: ${JSON.stringify(status(response.person))}\n\n`);
    response.write(`event: pairs\ndata: ${JSON.stringify(pairsOf(response.person))}\n\n`);
  }
  const clock = setInterval(() => {
    for (const response of streams) tell(response);
  }, 1000);

  // ---- settings
  function settingsOf(namespace, service, person) {
    const fields = namespace.settings[service];
    if (fields === undefined) throw new No(404, 'no such settings');
    const written = valuesIn(liveOf(namespace).text, service) ?? {};
    const publisher = ROLES.indexOf(roleOf(person, namespace)) >= 2;
    return {
      service, message: `${service}Settings`, version: liveOf(namespace).number, require: 'none',
      values: Object.fromEntries(fields.map(({ name, default: fallback }) => [name, written[name] ?? fallback])),
      written,
      may_change: fields.map(({ name }) => name).filter((name) => publisher || namespace.access[name]?.includes(person.who)),
      fields,
      instances: namespace.instances[service] ?? [],
    };
  }
  function settingsVersions(namespace, service) {
    const fields = namespace.settings[service];
    let old = {};
    return namespace.versions
      .map((version) => {
        const values = valuesIn(version.text, service) ?? {};
        const changed = fields.map(({ name }) => name).filter((name) => JSON.stringify(values[name]) !== JSON.stringify(old[name]));
        old = values;
        return { number: version.number, who: version.who, when: version.when, why: version.why, values, changed };
      })
      .filter(({ changed }) => changed.length > 0)
      .reverse();
  }

  // ---- the table of resources
  async function answer(request, response, parts, query, body) {
    const method = request.method;
    const [first, name, kind, object, last] = parts;
    const route = `${method} ${first ?? ''}${name === undefined ? '' : '/NS'}${kind === undefined ? '' : `/${kind}`}${object === undefined ? '' : '/X'}${last === undefined ? '' : `/${last}`}`;

    if (route === 'POST session') {
      const person = /^tnd_([a-z]+)_mock$/.exec(body.token ?? '')?.[1] ?? (links.delete(body.link) ? 'owner' : undefined);
      if (person === undefined || !PEOPLE[person]) throw new No(401, [problem('TND0401', '', 'a token is needed, and this opens nothing', '', 'give the token from the file that `tandem run` named, or one by `tandem token create`')]);
      const cookie = randomBytes(16).toString('hex');
      sessions.set(cookie, { person, expires: new Date(Date.now() + 8 * 3_600_000).toISOString() });
      response.setHeader('set-cookie', `${COOKIE}=${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=28800`);
      return undefined;
    }
    const person = personOf(request);
    if (person === null) throw new No(401, [problem('TND0401', '', 'a token is needed', '', 'sign in')]);
    for (const named of ['namespace', 'owner', 'version']) if (named in body) throw new No(400, `a body does not name a ${named}`);

    switch (route) {
      case 'GET session': return { who: person.who, groups: [], platform_admin: person.platform_admin, roles: person.roles, expires: person.expires };
      case 'DELETE session':
        sessions.delete(person.cookie);
        response.setHeader('set-cookie', `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`);
        return undefined;
      case 'GET status': return status(person);
      case 'GET methods': return { namespaces: upstreamsOf(person), methods: served(person) };
      case 'GET pairs': return pairsOf(person);
      case 'GET namespaces': return [...state.namespaces.values()].filter((one) => roleOf(person, one)).map((one) => ({
        name: one.name, role: roleOf(person, one), version: liveOf(one).number, hosts: [one.host], methods: one.methods.length, draft: one.draft !== null, contract: one.contract, problems: one.problems,
      }));
      case 'GET tokens': administrator(person); return state.tokens;
      case 'POST tokens': {
        administrator(person);
        const token = { id: `t${state.tokens.length + 1}`, name: body.name, who: person.who, when: new Date().toISOString(), expires: null, used: null };
        state.tokens.push(token);
        note(state.audit, person, 'make token', `token ${token.id}`, '');
        return { ...token, token: `tnd_${token.id}_${randomBytes(12).toString('hex')}` };
      }
      case 'DELETE tokens/NS':
        administrator(person);
        state.tokens = state.tokens.filter(({ id }) => id !== name);
        return undefined;
      case 'GET audit': administrator(person); return chain(state.audit, query);
      case 'GET audit/NS': administrator(person); return verdict(state.audit, query);
    }

    const namespace = first === 'namespaces' ? state.namespaces.get(name) : undefined;
    if (namespace === undefined || roleOf(person, namespace) === null) throw new No(404, 'not there');
    const live = liveOf(namespace);
    const at = (number) => {
      const version = namespace.versions.find((one) => one.number === Number(number));
      if (version === undefined) throw new No(404, `there is no version ${number}`);
      return version;
    };
    if (kind === 'methods') return answerOfPair(request, response, person, namespace, parts, body);
    switch (route) {
      case 'GET namespaces/NS':
        response.setHeader('etag', `"${live.number}"`);
        return { name, role: roleOf(person, namespace), version: short(live, namespace), text: live.text, may: {}, quota: {} };
      case 'GET namespaces/NS/versions': return namespace.versions.map((one) => short(one, namespace)).reverse();
      case 'GET namespaces/NS/versions/X': return { ...short(at(object), namespace), text: at(object).text };
      case 'GET namespaces/NS/draft':
        needs(person, namespace, 'editor');
        if (namespace.draft === null) throw new No(404, 'there is no draft');
        response.setHeader('etag', `"d${namespace.drafts}"`);
        return namespace.draft;
      case 'PUT namespaces/NS/draft': {
        needs(person, namespace, 'editor');
        const tag = request.headers['if-match'];
        if (tag === undefined && request.headers['if-none-match'] !== '*') throw new No(428, 'If-Match is missing');
        if (tag === undefined ? namespace.draft !== null : tag !== `"d${namespace.drafts}"`) throw new No(412, [problem('TND0503', '', 'another draft was saved in between', '', '')], { version: short(live, namespace) });
        namespace.drafts += 1;
        namespace.draft = { text: body.text, base: live.number, who: person.who, when: new Date().toISOString() };
        response.setHeader('etag', `"d${namespace.drafts}"`);
        return namespace.draft;
      }
      case 'DELETE namespaces/NS/draft':
        needs(person, namespace, 'editor');
        namespace.draft = null;
        return undefined;
      case 'POST namespaces/NS/check': {
        const problems = check(namespace, body.text);
        return { problems, diff: problems.some(({ code }) => code === 'TND0102') ? [] : diff(live.text, body.text) };
      }
      case 'POST namespaces/NS/diff': return { diff: body.text === undefined ? diff(at(body.from).text, at(body.to).text) : diff(live.text, body.text) };
      case 'POST namespaces/NS/publish':
        needs(person, namespace, 'publisher');
        madeFrom(request, namespace);
        if (body.draft && namespace.draft === null) throw new No(404, 'there is no draft');
        return { version: publish(namespace, person, body.draft ? namespace.draft.text : body.text, body.why), problems: [] };
      case 'POST namespaces/NS/rollback':
        needs(person, namespace, 'publisher');
        madeFrom(request, namespace);
        return { version: publish(namespace, person, at(body.to).text, body.why, { rolled_back: { to: body.to } }) };
      case 'GET namespaces/NS/settings': return Object.keys(namespace.settings).map((service) => settingsOf(namespace, service, person));
      case 'GET namespaces/NS/settings/X':
        response.setHeader('etag', `"${live.number}"`);
        return settingsOf(namespace, object, person);
      case 'PATCH namespaces/NS/settings/X': {
        const settings = settingsOf(namespace, object, person);
        const fields = Object.keys(body.values ?? {});
        if (body.draft || !fields.every((field) => settings.may_change.includes(field))) needs(person, namespace, body.draft ? 'editor' : 'publisher');
        madeFrom(request, namespace);
        const values = { ...settings.written };
        for (const [field, value] of Object.entries(body.values)) value === null ? delete values[field] : (values[field] = value);
        const problems = judge(object, settings.fields, values);
        if (problems.length > 0) throw new No(422, problems);
        const text = withValues(live.text, object, values);
        if (body.draft) {
          namespace.drafts += 1;
          namespace.draft = { text, base: live.number, who: person.who, when: new Date().toISOString() };
          return { version: short(live, namespace) };
        }
        return { version: publish(namespace, person, text, body.why) };
      }
      case 'GET namespaces/NS/settings/X/versions': return settingsVersions(namespace, object);
      case 'POST namespaces/NS/settings/X/rollback':
        needs(person, namespace, 'publisher');
        madeFrom(request, namespace);
        return { version: publish(namespace, person, withValues(live.text, object, valuesIn(at(body.to).text, object) ?? {}), body.why) };
      case 'GET namespaces/NS/members': needs(person, namespace, 'owner'); return namespace.members;
      case 'PUT namespaces/NS/members/X':
        needs(person, namespace, 'owner');
        namespace.members = [...namespace.members.filter(({ who }) => who !== object), { who: object, role: body.role, from: 'store' }];
        note(namespace.audit, person, 'write members', `members ${name}`, '');
        return undefined;
      case 'DELETE namespaces/NS/members/X':
        needs(person, namespace, 'owner');
        namespace.members = namespace.members.filter(({ who }) => who !== object);
        return undefined;
      case 'GET namespaces/NS/keys': needs(person, namespace, 'owner'); return namespace.keys;
      case 'POST namespaces/NS/keys': {
        needs(person, namespace, 'owner');
        const key = { id: randomBytes(2).toString('hex'), name: body.name, scopes: body.scopes, who: person.who, when: new Date().toISOString(), expires: body.expires_days ? new Date(Date.now() + body.expires_days * 86_400_000).toISOString() : null };
        namespace.keys.push(key);
        return { ...key, key: `tndk_${key.id}_${randomBytes(12).toString('hex')}` };
      }
      case 'DELETE namespaces/NS/keys/X':
        needs(person, namespace, 'owner');
        namespace.keys = namespace.keys.filter(({ id }) => id !== object);
        return undefined;
      case 'GET namespaces/NS/secrets': needs(person, namespace, 'owner'); return namespace.secrets;
      case 'PUT namespaces/NS/secrets/X':
        needs(person, namespace, 'owner');
        namespace.secrets = [...namespace.secrets.filter((one) => one.name !== object), { name: object, fingerprint: state.digest(body.value).slice(7, 16) }];
        return undefined;
      case 'DELETE namespaces/NS/secrets/X':
        needs(person, namespace, 'owner');
        namespace.secrets = namespace.secrets.filter((one) => one.name !== object);
        return undefined;
      case 'GET namespaces/NS/audit': needs(person, namespace, 'owner'); return chain(namespace.audit, query);
      case 'GET namespaces/NS/audit/X': needs(person, namespace, 'owner'); return verdict(namespace.audit, query);
      default: throw new No(404, 'not there');
    }
  }
  /** What is asked of one method's pair: `methods/SERVICE/METHOD/WHAT`. */
  function answerOfPair(request, response, person, namespace, [, , , service, method, what], body) {
    const text = liveOf(namespace).text;
    const full = `${service}/${method}`;
    if (what !== 'mirror' && (full !== live.MIRRORED || namespace.name !== 'shop' || !live.isMirrored(text))) throw new No(404, `calls of ${full} are not mirrored`);
    response.setHeader('etag', `"${liveOf(namespace).number}"`);
    switch (`${request.method} ${what}`) {
      case 'GET verdict': return live.verdict(text);
      case 'GET differences': return live.differences(text, ROLES.indexOf(roleOf(person, namespace)) >= 2);
      case 'GET noise': return live.noise(text);
      case 'POST noise':
        needs(person, namespace, 'publisher');
        madeFrom(request, namespace);
        if ((body.as ?? 'ignore') !== 'ignore') {
          return { version: publish(namespace, person, live.withRule(text, body.path, body.as), `noise accepted in ${full}, ${body.path} ${body.as}: ${body.why}`), problems: [] };
        }
        return { version: publish(namespace, person, live.withIgnored(text, body.path), `noise accepted in ${full}, ${body.path}: ${body.why}`), problems: [] };
      case 'PUT mirror':
        needs(person, namespace, 'publisher');
        madeFrom(request, namespace);
        return { version: publish(namespace, person, live.withMirror(text, body.on), `mirror ${body.on ? 'on' : 'off'} for ${full}: ${body.why}`), problems: [] };
      default: throw new No(404, 'not there');
    }
  }
  const upstreamsOf = (person) => [...state.namespaces.values()].filter((one) => roleOf(person, one)).map(({ name, host }) => ({
    name, hosts: [host], contract: true, upstreams: ['go', 'go-2', 'rust'].map((upstream) => ({ name: upstream, addresses: ['127.0.0.1:50051'], tls: false })),
  }));
  function administrator(person) {
    if (!person.platform_admin) throw new No(403, [problem('TND0402', '', 'this needs a platform administrator', '', '')]);
  }
  const head = (audit) => state.digest(JSON.stringify(audit)).slice(7);
  const chain = (audit, query) => ({
    entries: audit.filter(({ number }) => number < Number(query.get('before') ?? Infinity)).reverse().slice(0, Number(query.get('most') ?? 100)),
    head: { number: audit.length, digest: head(audit) },
  });
  const verdict = (audit, query) => {
    const whole = query.get('head') === null || query.get('head') === head(audit);
    return { whole, entries: audit.length, head: head(audit), faults: whole ? [] : [{ code: 'TND0504', what: 'no entry has the head that was noted elsewhere: its end was cut' }] };
  };
  const served = (person) => [...state.namespaces.values()].filter((one) => roleOf(person, one)).flatMap((namespace) => namespace.methods.map(([service, { name, kind, sideEffects }]) => ({
    namespace: namespace.name, method: `${service}/${name}`, kind, idempotency: sideEffects ? 'unknown' : 'no_side_effects', deprecated: false,
    input: `${service.slice(0, service.lastIndexOf('.'))}.${name}Request`, output: `${service.slice(0, service.lastIndexOf('.'))}.${name}Response`,
    rest: kind === 'unary' ? [{ http_method: sideEffects ? 'POST' : 'GET', path: `/v1/${name.replace(/^[A-Z][a-z]+/, '').toLowerCase() || name.toLowerCase()}`, body: sideEffects ? '*' : '', response_body: '' }] : [],
    primary: 'go', candidate: `${service}/${name}` === live.MIRRORED ? 'rust' : null, mirrored: `${service}/${name}` === live.MIRRORED && live.isMirrored(liveOf(namespace).text), internal: kind !== 'unary', public: true, deadline_ms: 2000, deadline_ms_max: 10000, message_bytes_max: 4194304, retries: !sideEffects,
  })));

  // ---- the listener
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    response.setHeader('x-content-type-options', 'nosniff');
    try {
      if (!url.pathname.startsWith('/api/')) return file(request, response, url.pathname);
      const chunks = [];
      let size = 0;
      for await (const chunk of request) {
        size += chunk.length;
        if (size > BODY_MOST) throw new No(413, 'at most 1 MiB');
        chunks.push(chunk);
      }
      const text = Buffer.concat(chunks).toString();
      if (text !== '' && request.headers['content-type'] !== 'application/json') throw new No(400, 'bodies are application/json');
      let body = {};
      try {
        body = text === '' ? {} : JSON.parse(text);
      } catch {
        throw new No(400, 'the body is no JSON');
      }
      const parts = url.pathname.replace('/api/v1/', '').split('/').map(decodeURIComponent);
      response.setHeader('cache-control', 'no-store');
      if (parts[0] === 'events') {
        const person = personOf(request);
        if (person === null) throw new No(401, 'a token is needed');
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.person = person;
        streams.add(response);
        tell(response);
        request.on('close', () => streams.delete(response));
        return;
      }
      const said = await answer(request, response, parts, url.searchParams, body);
      response.writeHead(said === undefined ? 204 : 200, { 'content-type': 'application/json' });
      response.end(said === undefined ? undefined : JSON.stringify(said));
    } catch (thrown) {
      if (!(thrown instanceof No)) console.error(thrown);
      const { status: code, body } = thrown instanceof No ? thrown : new No(500, String(thrown));
      response.writeHead(code, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    }
  });
  function file(request, response, path) {
    const asked = join(DIST, normalize(path));
    const found = asked.startsWith(DIST) && extname(path) !== '' && existsSync(asked) ? asked : join(DIST, 'index.html');
    if (found !== asked && path.startsWith('/assets/')) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': MEDIA[extname(found)], 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' });
    response.end(readFileSync(found));
  }
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    token: (as) => `tnd_${as}_mock`,
    link: () => {
      const link = randomBytes(16).toString('hex');
      links.add(link);
      return link;
    },
    /** Ends every session, as a restart would; gives a token to sign in with. */
    forgetSessions(as = 'owner') {
      sessions.clear();
      for (const response of streams) response.end();
      return `tnd_${as}_mock`;
    },
    /** Its traffic makes itself. */
    call: async () => 200,
    async close() {
      clearInterval(clock);
      for (const response of streams) response.end();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 9081) });
  console.log(`${mock.url}/   tokens: ${Object.keys(PEOPLE).map((name) => `tnd_${name}_mock`).join(', ')}`);
  console.log(`${mock.url}/#link=${mock.link()}`);
}
