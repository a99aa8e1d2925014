// Who may what: sessions, roles, and the words of strangers.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axe, catalogue, quit, WIDE, NARROW, withPage } from './with.mjs';

after(quit);
const failed = (status) => `the server responded with a status of ${status}`;

test('a wrong token is refused in words, and the page says nothing else', async () => {
  await withPage({ signIn: false, expectConsole: [failed(401)] }, async ({ page, at }) => {
    await at('/t/shop');
    await page.getByLabel('Token').fill('tnd_nobody_wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    assert.equal(await page.getByRole('navigation').count(), 0);
    await axe(page);
  });
});

test('a one-time link signs in once and leaves the address', async () => {
  await withPage({ signIn: false, expectConsole: [failed(401)] }, async ({ page, at, gateway }) => {
    const link = await gateway.link();
    await at(`/#link=${link}`);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    assert.equal(new URL(page.url()).hash, '');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
    await at('/health');
    await at(`/#link=${link}`);
    await page.getByText('a token is needed, and this opens nothing').waitFor();
    assert.equal(new URL(page.url()).hash, '');
  });
});

test('scripts cannot read the session', async () => {
  await withPage({}, async ({ page, context }) => {
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ['__Host-tandem', true, true, 'Strict']);
    assert.equal(await page.evaluate(() => document.cookie), '');
  });
});

test('a session that ends is begun again over the screen, and what was typed is kept', async () => {
  await withPage({ expectConsole: [failed(401)] }, async ({ page, at, gateway, api }) => {
    const { screen } = await catalogue(api);
    await at(screen);
    const input = page.locator('[data-field="max_discount_percent"]').getByRole('textbox');
    await input.fill('31');
    await page.getByRole('button', { name: 'Review and publish' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('winter sale');
    const publish = page.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true });
    const token = await gateway.forgetSessions();
    // Not by the pointer: the page may have noticed by itself and lie over it already.
    await publish.dispatchEvent('click');
    const again = page.getByRole('dialog', { name: 'Sign in again' });
    await again.getByLabel('Token').fill(token);
    await axe(page);
    await again.getByRole('button', { name: 'Sign in' }).click();
    await again.waitFor({ state: 'detached' });
    await publish.click();
    await page.getByText('Version 5 is live.').waitFor();
  });
});

test('a session that ends is noticed by itself, and a dead one is not tried again and again', async () => {
  await withPage({ expectConsole: [failed(401)] }, async ({ page, gateway, strangers }) => {
    await page.getByText('live', { exact: true }).waitFor();
    await gateway.forgetSessions();
    await page.getByRole('dialog', { name: 'Sign in again' }).waitFor({ timeout: 20_000 });
    await page.getByText('off', { exact: true }).waitFor({ state: 'attached' });
    // Ten in a minute would lock this machine out.
    assert.ok(strangers() <= 2, `${strangers()} questions without a session`);
  });
});

test('an editor drafts; the button that publishes names the role', async () => {
  await withPage({ as: 'editor' }, async ({ page, at, api }) => {
    const { screen, namespace, settings } = await catalogue(api);
    await at(screen);
    await page.locator('[data-field="max_discount_percent"]').getByRole('textbox').fill('31');
    await page.getByRole('button', { name: 'Review and publish' }).click();
    const dialog = page.getByRole('dialog');
    const publish = dialog.getByRole('button', { name: 'Publish', exact: true });
    assert.equal(await publish.getAttribute('aria-disabled'), 'true');
    assert.match(await publish.evaluate((button) => document.getElementById(button.getAttribute('aria-describedby')).textContent), /needs publisher/);
    await dialog.getByLabel('Reason').fill('winter sale');
    await dialog.getByText('-m "winter sale" --draft').waitFor();
    await publish.click({ force: true });
    assert.equal((await catalogue(api)).settings.version, settings.version, 'a button without the right does nothing');
    await dialog.getByRole('button', { name: 'Save as draft' }).click();
    await page.getByText('Saved as a draft').waitFor();
    const draft = await api('GET', `/namespaces/${namespace}/draft`);
    assert.match(draft.text, /"max_discount_percent":31/);
    assert.equal((await catalogue(api)).settings.version, settings.version);
  });
});

test('one field opened to somebody is all that he can change', async () => {
  await withPage({ as: 'manager' }, async ({ page, at, api }) => {
    const { screen } = await catalogue(api);
    await at(screen);
    const discount = page.locator('[data-field="max_discount_percent"]').getByRole('textbox');
    await discount.waitFor();
    assert.equal(await page.getByRole('slider').isDisabled(), true);
    await page.locator('[data-field="new_price_format"]').getByText('needs publisher, or this field opened to you').waitFor();
    await discount.fill('31');
    await page.getByRole('button', { name: 'Review and publish' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('winter sale');
    await page.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('Version 5 is live.').waitFor();
  });
});

test('a viewer changes nothing anywhere', async () => {
  await withPage({ as: 'viewer', expectConsole: [failed(403)] }, async ({ page, at }) => {
    await at('/t/shop');
    await page.locator('[data-field="max_discount_percent"]').waitFor();
    assert.equal(await page.locator('[data-field] input:enabled').count(), 0);
    const back = page.getByRole('button', { name: 'Roll back to version 3' });
    assert.equal(await back.getAttribute('aria-disabled'), 'true');
    await at('/t/shop/document');
    const editor = page.getByRole('textbox', { name: 'Document of shop' });
    await editor.waitFor();
    assert.equal(await editor.getAttribute('readonly'), '');
    await at('/t/shop/members');
    await page.getByText('this needs the role owner in `shop`').waitFor();
    await axe(page);
    await at('/access');
    await page.getByText('Tokens are for platform administrators.').waitFor();
  });
});

const STRANGE = [
  '<img src=x onerror="window.tandemPwned=1">',
  '<script>window.tandemPwned=1</script>',
  '{@html "<b>bold</b>"}',
  '"><svg onload=window.tandemPwned=1>',
  "javascript:window.tandemPwned=1 ${1+1} {{7*7}}",
  '\u202Ereversed\u0007 <a href="https://example.com/">here</a>',
];

for (const viewport of [WIDE, NARROW]) {
  test(`security_w_3_strangers_text_is_text_on_every_screen_that_shows_it (${viewport.width} px)`, async () => {
    await withPage({ viewport }, async ({ page, at, api }) => {
      const { where, settings } = await catalogue(api);
      let from = settings.version;
      for (const why of STRANGE) {
        const { version } = await api('PATCH', where, { from, body: { values: { hidden_categories: [why], max_discount_percent: from }, why } });
        from = version.number;
      }
      for (const path of ['/', '/t/shop', '/t/shop/history', '/t/shop/audit', '/t/shop/document']) {
        await at(path);
        if (path === '/t/shop/document') await page.getByRole('textbox', { name: 'Document of shop' }).waitFor();
        else await page.getByText(STRANGE[0]).first().waitFor();
        if (path === '/t/shop/history') {
          await page.getByRole('button', { name: 'Compare version 4 with the live one' }).click();
          await page.locator('.after').filter({ hasText: 'reversed' }).first().waitFor();
          await page.getByRole('button', { name: 'Roll back to version 5' }).click();
          await page.getByRole('dialog').getByText(STRANGE[0]).first().waitFor();
        }
        assert.equal(await page.evaluate(() => window.tandemPwned), undefined);
        assert.equal(await page.locator('main img, main script, main svg, main b, main a[href^="http"]').count(), 0, path);
      }
    });
  });
}
