// Every screen at both widths, light and dark: nothing that axe finds, nothing cut off; what is live
// and what is unknown; the document; the acts of owners.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axe, fits, LOOKS, NARROW, quit, withPage } from './with.mjs';

after(quit);
const UPDATE = '/m/tandem.cases.catalogue.v1.Catalogue/UpdateProduct';
const GET = '/m/tandem.cases.catalogue.v1.Catalogue/GetProduct';

const SCREENS = [
  ['/', 'Overview'], [UPDATE, 'UpdateProduct'], [GET, 'GetProduct'], [`${GET}/differences`, 'Differences of GetProduct'], ['/t/shop', 'shop'], ['/t/search', 'search'], ['/t/billing', 'billing'], ['/t/shop/document', 'shop'], ['/t/shop/history', 'shop'],
  ['/t/shop/members', 'shop'], ['/t/shop/keys', 'shop'], ['/t/shop/secrets', 'shop'], ['/t/shop/audit', 'shop'], ['/health', 'Health'], ['/access', 'Access'], ['/no/such/screen', 'Nothing is here'],
];

for (const look of LOOKS) {
  test(`experience_ux_30_every_screen_is_whole_and_clean (${look.name})`, async () => {
    await withPage(look, async ({ page, at, api }) => {
      const known = (await api('GET', '/namespaces')).map(({ name }) => name);
      assert.deepEqual(known.toSorted(), ['billing', 'search', 'shop']);
      for (const [path, heading] of SCREENS) {
        await at(path);
        await page.getByRole('heading', { level: 1, name: heading }).waitFor();
        await page.getByText('Loading…').waitFor({ state: 'detached' });
        await page.getByText('live', { exact: true }).first().waitFor();
        await axe(page).catch((error) => assert.fail(`${path}: ${error.message}`));
        await fits(page).catch((error) => assert.fail(`${path}: ${error.message}`));
      }
    });
  });
}

test('live figures come once a second, and what is not known is a dash and never a zero', async () => {
  await withPage({}, async ({ page, at, gateway }) => {
    await at('/');
    const row = page.getByRole('row').filter({ hasText: 'GetProduct' });
    const answered = row.getByText(/[1-9]\d* in [1-9] s/).waitFor().then(() => true);
    while (!(await Promise.race([answered, gateway.call('/v1/products/none').then(() => false)]))) {
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    assert.match(await row.getByRole('cell').nth(1).textContent(), /^\d+(\.\d+)?$/);
    const silent = page.getByRole('row').filter({ hasText: 'WatchProducts' });
    await silent.getByText(/^0 in [1-9] s/).waitFor();
    const cells = await silent.getByRole('cell').allTextContents();
    assert.deepEqual(cells.slice(1, 6).map((text) => text.trim()), ['0', '–', '–', '–', '–'], 'no call: a rate of 0, and nothing known of the rest');
  });
});

test('a hidden tab listens to nothing and says so', async () => {
  await withPage({}, async ({ page, at }) => {
    await at('/');
    await page.getByText('live', { exact: true }).waitFor();
    const hide = (hidden) => page.evaluate((to) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => to });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await hide(true);
    await page.getByText('paused', { exact: true }).waitFor();
    await hide(false);
    await page.getByText('live', { exact: true }).waitFor();
  });
});

test('search is one key away, and so are the keys', async () => {
  await withPage({}, async ({ page, at }) => {
    await at('/health');
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    await page.keyboard.press('/');
    await page.getByRole('searchbox').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('updatep');
    await page.getByRole('row').filter({ hasText: 'GetProduct' }).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'UpdateProduct' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    const keys = page.getByRole('dialog', { name: 'Keys' });
    await keys.waitFor();
    await axe(page);
    await page.keyboard.press('Escape');
    await keys.waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.getByRole('heading', { name: 'Access' }).waitFor();
  });
});

test('the menu of a narrow window opens, leads on and closes', async () => {
  await withPage({ viewport: NARROW }, async ({ page, at }) => {
    await at('/');
    const menu = page.getByRole('button', { name: 'Menu' });
    await menu.click();
    await axe(page);
    await fits(page);
    await page.getByRole('link', { name: 'Health' }).click();
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    assert.equal(await menu.getAttribute('aria-expanded'), 'false');
  });
});

for (const look of LOOKS) {
  test(`a document is checked while it is typed, its problem at its line, then drafted and published (${look.name})`, async () => {
    await withPage(look, async ({ page, at, api }) => {
      await at('/t/shop/document');
      const editor = page.getByRole('textbox', { name: 'Document of shop' });
      await editor.waitFor();
      const text = await editor.inputValue();
      await editor.fill(text.replace('upstreams:', 'upstream:'));
      await page.getByText('unknown key `upstream`').first().waitFor();
      await page.getByText('did you mean `upstreams`?').waitFor();
      assert.equal(await page.locator('.numbers .bad').count(), 1);
      await axe(page);
      await fits(page);
      await page.getByRole('button', { name: 'line 5' }).click();
      assert.equal(await editor.evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd)), 'upstream:');
      await page.keyboard.type('upstreams:');
      await page.getByText('no problems').waitFor();
      await editor.fill(text.replace('max: 10s', 'max: 20s'));
      await page.getByText('defaults.deadline').waitFor();
      await page.getByRole('button', { name: 'Save draft' }).click();
      await page.getByText('Draft saved.').waitFor();
      assert.match((await api('GET', '/namespaces/shop/draft')).text, /max: 20s/);
      await page.getByRole('button', { name: 'Publish…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill('slow shops');
      await dialog.getByText('tandem publish shop -m "slow shops"').waitFor();
      await axe(page);
      await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
      await page.getByText('Version 5 is live.').waitFor();
      assert.match((await api('GET', '/namespaces/shop')).text, /max: 20s/);
    });
  });
}

test('the schema says what may stand where the caret is', async () => {
  await withPage({}, async ({ page, at }) => {
    await at('/t/shop/document');
    const editor = page.getByRole('textbox', { name: 'Document of shop' });
    await editor.waitFor();
    await editor.evaluate((area) => {
      const at = area.value.indexOf('connections');
      area.focus();
      area.setSelectionRange(at, at);
    });
    await page.keyboard.press('ArrowRight');
    await page.getByText('Of each data thread to each endpoint, to begin with.').waitFor();
    await page.getByText('1 to 4').waitFor();
  });
});

test('a lost race of documents keeps the text and shows what it would undo', async () => {
  await withPage({ expectConsole: ['status of 412'] }, async ({ page, at, api }) => {
    await at('/t/shop/document');
    const editor = page.getByRole('textbox', { name: 'Document of shop' });
    await editor.waitFor();
    const text = await editor.inputValue();
    await editor.fill(text.replace('max: 10s', 'max: 20s'));
    await page.getByText('defaults.deadline').waitFor();
    await page.getByRole('button', { name: 'Publish…' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('slow shops');
    await api('POST', '/namespaces/shop/publish', { from: 4, body: { text: text.replace('connections: 1', 'connections: 2'), why: 'more connections' } });
    await page.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true }).click();
    const lost = page.getByRole('dialog', { name: 'Somebody published in between' });
    await lost.getByText('more connections').waitFor();
    await lost.getByRole('button', { name: 'Look at version 5' }).click();
    await page.getByText('upstreams.go.connections').waitFor();
    assert.match(await editor.inputValue(), /max: 20s/);
  });
});

test('two versions are compared, and a namespace goes back to one', async () => {
  await withPage({}, async ({ page, at, api }) => {
    await at('/t/shop/history');
    await page.getByRole('button', { name: 'Compare version 2 with the live one' }).click();
    await page.getByRole('heading', { name: 'From version 2 to 4' }).waitFor();
    await page.getByText('max_discount_percent').first().waitFor();
    await page.getByRole('button', { name: 'Roll back to version 2' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('back to spring');
    await dialog.getByText('tandem rollback shop --to 2 -m "back to spring"').waitFor();
    await axe(page);
    await dialog.getByRole('button', { name: 'Roll back', exact: true }).click();
    await page.getByText('Version 5 is live, with the text of version 2.').waitFor();
    const [live] = await api('GET', '/namespaces/shop/versions');
    assert.deepEqual(live.origin, { rolled_back: { to: 2 } });
  });
});

test('owners keep members, keys and secrets; a key is shown once and a secret never', async () => {
  await withPage({}, async ({ page, at, api }) => {
    await at('/t/shop/members');
    await page.getByRole('button', { name: 'Add a member…' }).click();
    let dialog = page.getByRole('dialog');
    await dialog.getByLabel('Who').fill('user:lee');
    await dialog.getByRole('radio', { name: 'editor' }).check();
    await dialog.getByText('tandem member add shop user:lee --role editor').waitFor();
    await axe(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row').filter({ hasText: 'user:lee' }).getByText('editor').waitFor();
    await page.getByRole('button', { name: 'Remove user:lee' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText('user:lee', { exact: true }).waitFor({ state: 'detached' });

    await at('/t/shop/keys');
    await page.getByRole('button', { name: 'Make a key…' }).click();
    dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('till');
    await dialog.getByLabel('Scopes').fill('products.read, products.write');
    await axe(page);
    await dialog.getByRole('button', { name: 'Make the key' }).click();
    await page.getByText(/^tnd?k_/).waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByText(/^tnd?k_/).waitFor({ state: 'detached' });
    assert.deepEqual((await api('GET', '/namespaces/shop/keys')).at(-1).scopes, ['products.read', 'products.write']);

    await at('/t/shop/secrets');
    await page.getByRole('button', { name: 'Put a secret…' }).click();
    dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('db');
    await dialog.getByLabel('Value').fill('hunter2-very-secret');
    assert.equal(await dialog.getByText('hunter2').count(), 0);
    await axe(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('listitem').filter({ hasText: 'db' }).getByText('fingerprint').waitFor();
    assert.ok(!(await page.content()).includes('hunter2'));
  });
});

test('an audit log is verified against a head that was kept', async () => {
  await withPage({}, async ({ page, at, api }) => {
    const { head } = await api('GET', '/namespaces/shop/audit');
    await at('/t/shop/audit');
    await page.getByText('not verified').waitFor();
    await page.getByLabel('Head that you kept').fill(head.digest);
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('whole, 4 entries').waitFor();
    await page.getByLabel('Head that you kept').fill('f'.repeat(64));
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('has the head that was noted elsewhere: its end was cut').waitFor();
    await axe(page);
  });
});

test('an administrator makes and revokes tokens', async () => {
  await withPage({}, async ({ page, at }) => {
    await at('/access');
    await page.getByRole('button', { name: 'Make a token…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('ci');
    await dialog.getByText('tandem token create ci --expires 90').waitFor();
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    await page.getByText(/^tnd_/).waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Revoke the token ci' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByRole('button', { name: 'Revoke the token ci' }).waitFor({ state: 'detached' });
  });
});
