// What typed text becomes, which limit it breaks, which field a problem is about.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atFields, changes, fromText, hint, put, same, segments, toText } from '../../src/lib/form.ts';
import type { Field, Json, Problem } from '../../src/lib/types.ts';

const field = (name: string, kind: Field['kind'], more: Partial<Field> = {}): Field => ({
  name, label: name, comment: '', kind, repeated: false, map: false, default: 0, rules: [], min: null, max: null,
  max_items: null, min_len: null, max_len: null, values: [], fields: [], ...more,
});
const problem = (where: string, what = '', fix = ''): Problem => ({ code: 'TND0122', severity: 'error', where, what, why: '', fix });

test('typed text becomes the JSON of its kind, and what is none stays as it was typed', () => {
  const table: [Field['kind'], string, Json][] = [
    ['int32', '30', 30],
    ['int32', ' -7 ', -7],
    ['int32', '3.5', '3.5'],
    ['int32', 'thirty', 'thirty'],
    ['int32', '', ''],
    ['int64', '9007199254740993', '9007199254740993'],
    ['uint64', '18446744073709551615', '18446744073709551615'],
    ['double', '2.50', 2.5],
    ['double', '1e-3', 0.001],
    ['double', 'NaN', 'NaN'],
    ['float', '1.', 1],
    ['string', ' kept as it is ', ' kept as it is '],
    ['duration', '250ms', '0.25s'],
    ['duration', '1h 30m', '5400s'],
    ['duration', 'soon', 'soon'],
    ['json', '{"a": [1]}', { a: [1] }],
    ['json', '{"a":', '{"a":'],
  ];
  for (const [kind, text, json] of table) assert.deepEqual(fromText(kind, text), json, `${kind} ${text}`);
});

test('a value is shown so that typing it again changes nothing', () => {
  for (const [kind, json] of [['int32', 30], ['int64', '9007199254740993'], ['double', 0.1], ['duration', '0.250s'], ['duration', '5400s'], ['string', 'a']] as [Field['kind'], Json][]) {
    const again = fromText(kind, toText(kind, json));
    assert.deepEqual(kind === 'duration' ? toText(kind, again) : again, kind === 'duration' ? toText(kind, json) : json);
  }
});

test('a limit is said on both of its sides, with the nearest value that is allowed', () => {
  const percent = field('p', 'int32', { min: '0', max: '60', rules: [{ rule: 'int32.lte', value: '60', must: 'is at most 60' }, { rule: 'int32.gte', value: '0', must: 'is at least 0' }] });
  assert.equal(hint(percent, 60), null);
  assert.deepEqual(hint(percent, 61), { must: 'is at most 60', nearest: 60 });
  assert.equal(hint(percent, 0), null);
  assert.deepEqual(hint(percent, -1), { must: 'is at least 0', nearest: 0 });
  assert.deepEqual(hint(percent, 'thirty'), { must: 'is a whole number', nearest: undefined });
});

test('whole numbers are compared exactly where floating point would not see the difference', () => {
  const wide = field('w', 'uint64', { max: '9007199254740992' });
  assert.equal(hint(wide, '9007199254740992'), null);
  assert.deepEqual(hint(wide, '9007199254740993'), { must: 'is at most 9007199254740992', nearest: '9007199254740992' });
});

test('lists and texts have their limits too', () => {
  const list = field('l', 'string', { repeated: true, max_items: 2, max_len: 3 });
  assert.equal(hint(list, ['a', 'b']), null);
  assert.deepEqual(hint(list, ['a', 'b', 'c']), { must: 'has at most 2 items', nearest: ['a', 'b'] });
  assert.deepEqual(hint(list, ['a', 'long']), { must: '2: has at most 3 characters', nearest: ['a', 'lon'] });
  assert.equal(hint(field('s', 'string', { max_len: 3 }), '😀😀😀'), null, 'characters are counted, not code units');
});

test('only what differs from the live values is a change, and a reset only of what is written', () => {
  const fields = [field('a', 'int32'), field('b', 'string', { repeated: true, default: [] }), field('c', 'int32', { default: 5 })];
  const live: Record<string, Json> = { a: 1, b: ['x'], c: 7 };
  const written: Record<string, Json> = { b: ['x'], c: 7 };
  assert.deepEqual(changes(fields, live, written, { a: 1, b: ['x'] }), []);
  assert.deepEqual(changes(fields, live, written, { a: null }), [], 'nothing is written, so nothing goes back');
  assert.deepEqual(changes(fields, live, written, { a: 2, c: null }), [
    { field: 'a', before: 1, after: 2, reset: false },
    { field: 'c', before: 7, after: 5, reset: true },
  ]);
});

test('a problem finds its field whichever way its place is written', () => {
  const fields = [field('max_discount_percent', 'int32'), field('limits', 'message', { fields: [field('results', 'uint32')] }), field('hidden', 'string', { repeated: true })];
  const table: [Problem, string | null, (string | number)[]][] = [
    [problem('settings["a.b.Catalogue"].values.max_discount_percent'), 'max_discount_percent', []],
    [problem('settings.a.b.Catalogue.max_discount_percent'), 'max_discount_percent', []],
    [problem('settings["a.limits.Catalogue"].values.limits.results'), 'limits', ['results']],
    [problem('settings["a.b.C"].values.hidden[2]'), 'hidden', [2]],
    [problem('', 'max_discount_percent is at most 60 (rule int32.lte)'), 'max_discount_percent', []],
    [problem('', 'the settings have too many bytes'), null, []],
    [problem('upstreams.go'), null, []],
  ];
  for (const [of, name, inside] of table) {
    const { at, others } = atFields(fields, [of]);
    assert.deepEqual([at[0]?.field ?? null, at[0]?.inside ?? [], others.length], [name, inside, name === null ? 1 : 0], of.where || of.what);
  }
});

test('the nearest value comes from the words of the remedy, as JSON', () => {
  const fields = [field('a', 'int32')];
  const near = (fix: string): Json | undefined => atFields(fields, [problem('settings.X.values.a', '', fix)]).at[0]?.nearest;
  assert.equal(near('write 60, the nearest value that is allowed'), 60);
  assert.equal(near('write "NEWEST, or so", the nearest value that is allowed'), 'NEWEST, or so');
  assert.equal(near('write another value'), undefined);
  assert.equal(near('write {, the nearest value that is allowed'), undefined);
});

test('a value is put where it belongs and nothing else changes', () => {
  const before = { limits: { results: 900, bytes: 1 }, list: ['a', 'b'] };
  assert.deepEqual(put(before, ['limits', 'results'], 500), { limits: { results: 500, bytes: 1 }, list: ['a', 'b'] });
  assert.deepEqual(put(before, ['list', 1], 'c'), { limits: { results: 900, bytes: 1 }, list: ['a', 'c'] });
  assert.deepEqual(before, { limits: { results: 900, bytes: 1 }, list: ['a', 'b'] });
});

test('paths are cut into their steps', () => {
  assert.deepEqual(segments('methods["a.b.C/D"].primary'), ['methods', 'a.b.C/D', 'primary']);
  assert.deepEqual(segments('routes[3].mirror'), ['routes', 3, 'mirror']);
  assert.deepEqual(segments('labels["say \\"hi\\""]'), ['labels', 'say "hi"']);
  assert.deepEqual(segments(''), []);
});

test('order of keys makes no difference between values, order of items does', () => {
  assert.ok(same({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 }));
  assert.ok(!same([1, 2], [2, 1]));
  assert.ok(!same({ a: 1 }, { a: 1, b: null }));
  assert.ok(!same([], {}));
});
