// A browser, a gateway, and what every test asks of a screen: no foreign request, no breach of the
// policy, nothing on the console, nothing that axe finds.
//
// Each test has a gateway of its own, so none depends on another: the mock, or with
// TANDEM_PAGE_GATEWAY and TANDEM_PAGE_CATALOGUE (binaries) a real one with the catalogue behind it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { startGateway } from '../gateway.mjs';
import { startMock } from '../mock.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const BINARY = process.env.TANDEM_PAGE_GATEWAY;
export const REAL = BINARY !== undefined;
export const WIDE = { width: 1280, height: 860 };
export const NARROW = { width: 390, height: 844 };
export const LOOKS = [
  { name: '1280 light', viewport: WIDE, colorScheme: 'light' },
  { name: '1280 dark', viewport: WIDE, colorScheme: 'dark' },
  { name: '390 light', viewport: NARROW, colorScheme: 'light' },
  { name: '390 dark', viewport: NARROW, colorScheme: 'dark' },
];

let browser = null;

export async function launch() {
  browser ??= await chromium.launch({
    executablePath: process.env.TANDEM_CHROMIUM ?? '/usr/bin/chromium',
    // A container's root has no sandbox of its own to start.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  return browser;
}

export async function quit() {
  await browser?.close();
  browser = null;
}

/** Runs `test` with a gateway and a page that is signed in; then judges what the browser saw. */
export async function withPage({ viewport = WIDE, colorScheme = 'light', as = 'owner', signIn = true, expectConsole = [] }, test) {
  const gateway = REAL ? await startGateway({ binary: BINARY, catalogue: process.env.TANDEM_PAGE_CATALOGUE }) : await startMock();
  const { url } = gateway;
  const token = gateway.token(as);
  const context = await (await launch()).newContext({ viewport, colorScheme, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' });
  const seen = { foreign: [], console: [], policy: [], strangers: 0 };
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('request', (request) => {
    const to = request.url();
    if (!to.startsWith(`${url}/`) && !to.startsWith('data:')) seen.foreign.push(to);
    if (to.startsWith('data:')) seen.policy.push(`data: ${to.slice(0, 60)}`);
  });
  page.on('response', (response) => {
    if (response.status() === 401) seen.strangers += 1;
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') seen.console.push(message.text());
  });
  page.on('pageerror', (error) => seen.console.push(String(error)));
  page.on('dialog', (dialog) => {
    seen.console.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.exposeFunction('tandemPolicyBroken', (what) => seen.policy.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.tandemPolicyBroken(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  try {
    if (signIn) await enter(page, url, token);
    await test({ page, context, url, token, gateway, api: api(url, token), other: api(url, gateway.token('publisher')), at: (path) => page.goto(url + path), strangers: () => seen.strangers });
    assert.deepEqual(seen.foreign, [], 'requests to other origins');
    assert.deepEqual(seen.policy, [], 'breaches of the policy');
    const unexpected = seen.console.filter((text) => !expectConsole.some((expected) => text.includes(expected)));
    assert.deepEqual(unexpected, [], 'the console');
  } finally {
    await context.close();
    await gateway.close();
  }
}

export async function enter(page, url, token) {
  await page.goto(`${url}/`);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
}

/** Somebody else at the same gateway, by the API. */
export function api(url, token) {
  return async (method, path, { body, from } = {}) => {
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
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
}

/** The settings of the catalogue, wherever they are. */
export async function catalogue(ask) {
  for (const { name } of await ask('GET', '/namespaces')) {
    for (const settings of await ask('GET', `/namespaces/${name}/settings`)) {
      if (settings.fields.some((field) => field.name === 'max_discount_percent')) {
        const where = `/namespaces/${name}/settings/${encodeURIComponent(settings.service)}`;
        return { namespace: name, service: settings.service, screen: `/t/${name}/settings/${settings.service}`, where, settings };
      }
    }
  }
  throw new Error('no settings with max_discount_percent are served');
}

/** Everything that axe knows of WCAG 2.2 A and AA and of good practice. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ target, html }) => `    ${target} ${html.slice(0, 160)}`).join('\n')}`);
  assert.deepEqual(said, [], 'axe');
  return passes.length;
}

/** Nothing is wider than the window. */
export async function fits(page) {
  const wide = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, window: window.innerWidth }));
  assert.ok(wide.page <= wide.window, `the page is ${wide.page} px wide in a window of ${wide.window}`);
}
