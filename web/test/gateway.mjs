// A real gateway for the page's tests: `tandem run` with a store, the catalogue behind it, and the
// history that the mock has, in a scratch folder of its own and on free ports.
//
// TANDEM_PAGE_GATEWAY names the gateway's binary, TANDEM_PAGE_CATALOGUE that of the catalogue (Go or
// Rust); `./x page gateway` builds and names both. What is started here ends with `close`, or with
// the process.
//
// Not here: what a screen must show (`browser`), the same API in memory (`mock.mjs`).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { document, HISTORY, SERVICE } from './world.mjs';

const PROTO = fileURLToPath(new URL('../../proto', import.meta.url));
const SEARCH = 'tandem.cases.search.v1.Search';
const SEARCH_PROTO = fileURLToPath(new URL('real/search.proto', import.meta.url));
/** Nobody listens there: it is below what the system hands out and needs root. */
const NOBODY = '127.0.0.1:1';

/** Whose token each of the tests' people has. `manager` may change one field and nothing else. */
const PEOPLE = { owner: 'ann', publisher: 'mira', editor: 'jon', viewer: 'vic', manager: 'pia' };

const MEMBERS = 'members: { owner: [token:ann], publisher: [token:mira], editor: [token:jon], viewer: [token:vic, token:pia] }';
const may = (host, services) =>
  `may: { hosts: [${host}], services: [${services}], paths: [/v1/**], upstreams: ["127.0.0.0/8:1-65535"], public_methods: true, loopback: true }`;

const PLATFORM = `format: 1
listen:
  public: { address: 127.0.0.1:0 }
  internal: { address: 127.0.0.1:0 }
  admin: { address: 127.0.0.1:0 }
threads: 1
observe: { access_log: { to: none } }
store: { embedded: data/store }
namespaces:
  shop:
    ${MEMBERS}
    ${may('api.example.com', 'tandem.cases.catalogue.v1.*')}
  search:
    members: { owner: [token:ann], publisher: [token:mira] }
    ${may('search.example.com', 'tandem.cases.search.v1.*')}
  billing:
    members: { owner: [token:ann] }
    ${may('billing.example.com', 'shop.billing.v1.*')}
`;

// A signal by itself would end this process without its `exit`.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Looks until `look` gives something: what is waited for is another process. */
async function until(what, look) {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false && found !== null) return found;
    if (Date.now() > end) throw new Error(`${typeof what === 'function' ? what() : what} did not come`);
    await new Promise((rested) => setTimeout(rested, 20));
  }
}

export async function startGateway({ binary, catalogue }) {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-page-'));
  const started = [];
  const killAll = () => {
    for (const child of started) child.kill('SIGKILL');
  };
  process.once('exit', killAll);
  const close = async () => {
    process.off('exit', killAll);
    killAll();
    await Promise.all(started.map((child) => child.exitCode ?? child.signalCode ?? new Promise((ended) => child.once('exit', ended))));
    rmSync(folder, { recursive: true, force: true });
  };
  const start = (program, words, stdout) => {
    const log = join(folder, `${started.length}.log`);
    const child = spawn(program, words, { cwd: folder, stdio: ['ignore', stdout, openSync(log, 'a')] });
    child.on('error', (error) => console.error(`${program}: ${error.message}`));
    started.push(child);
    return { child, said: () => (existsSync(log) ? readFileSync(log, 'utf8') : '') };
  };
  try {
    mkdirSync(join(folder, 'teams/proto/buf'), { recursive: true });
    cpSync(join(PROTO, 'buf'), join(folder, 'teams/proto/buf'), { recursive: true });
    cpSync(SEARCH_PROTO, join(folder, 'teams/proto/search.proto'));
    writeFileSync(join(folder, 'tandem.yaml'), PLATFORM);
    const values = { ranking: 'RELEVANCE', title_boost: 2, synonyms: { sofa: 'couch' }, limits: { results: 100 } };
    const search = document('search', { host: 'search.example.com', upstream: 'rust', address: NOBODY, services: [SEARCH], settings: { [SEARCH]: values } });
    writeFileSync(join(folder, 'teams/search.yaml'), search.replace('{ reflection: rust }', '{ protos: proto }'));
    const billing = document('billing', { host: 'billing.example.com', upstream: 'go', address: NOBODY, services: ['shop.billing.v1.Ledger'], settings: {} });
    writeFileSync(join(folder, 'teams/billing.yaml'), billing);

    // The gateway first: the catalogue is told its internal listener.
    const gateway = start(binary, ['run', '--ready-file', 'ready.json'], 'ignore');
    const ready = await until(() => `a gateway\n${gateway.said()}`, () => {
      assert.equal(gateway.child.exitCode, null, gateway.said());
      return existsSync(join(folder, 'ready.json')) && JSON.parse(readFileSync(join(folder, 'ready.json'), 'utf8'));
    });
    const url = `http://${ready.admin}`;
    const operator = readFileSync(join(folder, ready.admin_token_file), 'utf8').trim();
    const service = start(catalogue, ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--data', join(folder, 'catalogue'), '--internal', ready.internal], 'pipe');
    const [line] = await Promise.race([
      createInterface({ input: service.child.stdout })[Symbol.asyncIterator]().next().then(({ value }) => [value]),
      new Promise((_, no) => service.child.once('exit', () => no(new Error(service.said())))),
    ]);
    const address = JSON.parse(line).listen;

    const ask = async (method, path, { body, from, token = operator } = {}) => {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(from === undefined ? {} : { 'if-match': `"${from}"` }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}\n${gateway.said()}`);
      return text === '' ? undefined : JSON.parse(text);
    };
    const tokens = {};
    const make = async (as) => {
      const made = await ask('POST', '/tokens', { body: { name: PEOPLE[as], platform_admin: as === 'owner' } });
      return { id: made.id, token: made.token };
    };
    for (const as of Object.keys(PEOPLE)) tokens[as] = await make(as);
    let from = 0;
    for (const { as, why, values } of HISTORY) {
      const access = '    access: { max_discount_percent: [token:pia] }\n';
      const shop = document('shop', { host: 'api.example.com', upstream: 'go', address, services: [SERVICE], settings: { [SERVICE]: values } });
      // Whoever is on trial, and the twin, are the one service that runs here.
      const others = ['rust', 'go-2'].map((name) => `  ${name}: { address: "${address}" }\n`).join('');
      const text = shop.replace('defaults:\n', `${others}defaults:\n`) + access;
      const { version } = await ask('POST', '/namespaces/shop/publish', { from, body: { text, why }, token: tokens[as].token });
      from = version.number;
    }
    const where = `/namespaces/shop/settings/${encodeURIComponent(SERVICE)}`;
    await until(() => `version ${from} at the catalogue\n${gateway.said()}${service.said()}`, async () => {
      // Before the contract is known there are no settings.
      const all = await ask('GET', '/namespaces/shop/settings');
      return all.length > 0 && (await ask('GET', where)).instances.some(({ state, version }) => state === 'applied' && version === from);
    });
    await until('the contract of search', async () => (await ask('GET', '/namespaces/search/settings')).length > 0);

    return {
      url,
      token: (as) => tokens[as].token,
      link: async () => (await ask('POST', '/links', { token: tokens.owner.token })).link,
      /** Ends the sessions of whoever has this token, which is gone with them; gives another. */
      async forgetSessions(as = 'owner') {
        await ask('DELETE', `/tokens/${tokens[as].id}`);
        tokens[as] = await make(as);
        return tokens[as].token;
      },
      /** A call of the shop from outside. */
      call: (path) =>
        new Promise((answered, failed) => {
          const call = request(`http://${ready.public}${path}`, { headers: { host: 'api.example.com' } }, (response) => {
            response.resume();
            response.on('end', () => answered(response.statusCode));
          });
          call.on('error', failed);
          call.end();
        }),
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
