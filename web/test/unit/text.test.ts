// Commands, numbers, durations, places in a document, help from the schema, addresses of screens.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import * as command from '../../src/lib/command.ts';
import { durationToJson, durationToText } from '../../src/lib/duration.ts';
import { lineOf, lineOfPath, pathAt } from '../../src/lib/places.ts';
import { lacks, lacksForValues } from '../../src/lib/rights.ts';
import { ago, milliseconds, number, ofKind, share, value } from '../../src/lib/show.ts';
import type { Settings } from '../../src/lib/types.ts';

test('a command that is copied into a shell says what was typed, whatever was typed', () => {
  for (const why of ['winter sale', `it's "10 %" $HOME \`id\` \\ !`, '', "a 'b' c", '$(touch /tmp/x)']) {
    const text = command.settingsSet({ namespace: 'shop', service: 'a.b.C', edits: { greeting: why, list: ['x y', "z'"], n: 3, gone: null, digits: '30' }, why });
    const words = execFileSync('sh', ['-c', `tandem() { printf '%s\\0' "$@"; }; ${text}`]).toString().split('\0').slice(0, -1);
    assert.deepEqual(words, ['settings', 'set', 'a.b.C', `greeting=${why === '' ? '""' : why}`, `list=${JSON.stringify(['x y', "z'"])}`, 'n=3', 'gone=', 'digits="30"', '-n', 'shop', '-m', why === '' ? '…' : why]);
  }
});

test('commands name what they act on', () => {
  assert.equal(command.settingsSet({ namespace: 'shop', service: 'a.C', edits: { n: 30 }, why: 'winter sale', draft: true }), 'tandem settings set a.C n=30 -n shop -m "winter sale" --draft');
  assert.equal(command.settingsRollback({ namespace: 'shop', service: 'a.C', to: 3, why: 'x' }), 'tandem settings rollback a.C --to 3 -n shop -m "x"');
  assert.equal(command.rollback({ namespace: 'shop', to: 2, why: 'x' }), 'tandem rollback shop --to 2 -m "x"');
  assert.equal(command.secretSet({ namespace: 'shop', name: 'db' }), 'tandem secret set shop db');
});

test('durations go to ProtoJSON and back, to the nanosecond', () => {
  const table: [string, string | null][] = [
    ['1.5s', '1.5s'], ['250ms', '0.25s'], ['2h', '7200s'], ['1h 30m', '5400s'], ['1d', '86400s'], ['-1.5s', '-1.5s'], ['1ns', '0.000000001s'],
    ['0s', '0s'], ['10', null], ['', null], ['1x', null], ['1.0000000001s', null],
  ];
  for (const [text, json] of table) assert.equal(durationToJson(text), json, text);
  for (const [json, text] of [['1.500s', '1500ms'], ['7200s', '2h'], ['0s', '0s'], ['-90s', '-90s'], ['0.000000001s', '1ns'], ['?', '?']]) assert.equal(durationToText(json!), text, json);
});

test('what is not known is a dash, and zero is a zero', () => {
  assert.deepEqual([number(null), number(undefined), number(Number.NaN), number(0)], ['–', '–', '–', '0']);
  assert.deepEqual([share(null), share(0), share(0.00001), share(0.153)], ['–', '0 %', '< 0.01 %', '15.3 %']);
  assert.deepEqual([milliseconds(null), milliseconds(3.456), milliseconds(1234)], ['–', '3.46 ms', '1.23 s']);
  assert.equal(ago('never', 0), '–');
  assert.equal(ago('2026-11-28T10:00:00Z', Date.parse('2026-11-28T11:01:00Z')), '1 h ago');
});

test('values are shown by their kind', () => {
  assert.equal(value([]), 'empty list');
  assert.equal(value({ per_mille: 125 }), '12.5 % of principals');
  assert.equal(value({ per_mille: 125, other: 1 }), '{ per_mille: 125, other: 1 }');
  assert.deepEqual([ofKind('rollout', {}), ofKind('bool', false), ofKind('duration', '0.5s'), ofKind('timestamp', null)], ['0 % of principals', 'off', '500ms', 'none']);
});

const DOCUMENT = `# a comment: with a colon
namespace: shop
upstreams:
  go:
    address: "127.0.0.1:50051"
  rust: { address: "127.0.0.1:50052", connections: 9 }
methods:
  a.b.Catalogue/*: {}
  a.b.Catalogue/Get:
    retries:
      codes:
        - UNAVAILABLE
        - BOGUS
settings:
  a.b.Catalogue:
    values:
      max: 90
`;

test('a path finds its line, or that of the deepest key above it', () => {
  const table: [(string | number)[], number | null][] = [
    [['namespace'], 2],
    [['upstreams', 'go', 'address'], 5],
    [['upstreams', 'rust', 'connections'], 6],
    [['upstreams', 'nobody'], 3],
    [['methods', 'a.b.Catalogue/*'], 8],
    [['methods', 'a.b.Catalogue/Get', 'retries', 'codes', 1], 13],
    [['settings', 'a.b.Catalogue', 'values', 'max'], 17],
    [['settings', 'a', 'b', 'Catalogue', 'values', 'max'], 17],
    [['nothing'], null],
  ];
  for (const [steps, line] of table) assert.equal(lineOfPath(DOCUMENT, steps), line, steps.join(' '));
});

test('the line that the gateway names is believed before any search', () => {
  const problem = { code: '', severity: 'error' as const, where: 'namespace', what: '', why: '', fix: '' };
  assert.equal(lineOf(DOCUMENT, problem), 2);
  assert.equal(lineOf(DOCUMENT, { ...problem, line: 9 }), 9);
  assert.equal(lineOf(DOCUMENT, { ...problem, where: '' }), null);
});

test('the caret knows under which keys it stands', () => {
  assert.deepEqual(pathAt(DOCUMENT, 5), ['upstreams', 'go', 'address']);
  assert.deepEqual(pathAt(DOCUMENT, 13), ['methods', 'a.b.Catalogue/Get', 'retries', 'codes']);
  assert.deepEqual(pathAt(DOCUMENT, 1), []);
});

test('each act needs the role of the table, and an open field needs none', () => {
  assert.deepEqual([lacks('viewer', 'draft'), lacks('editor', 'draft'), lacks('editor', 'publish'), lacks('publisher', 'publish'), lacks(null, 'read'), lacks('publisher', 'secrets'), lacks('owner', 'secrets')],
    ['editor', null, 'publisher', null, 'viewer', 'owner', null]);
  const settings = { may_change: ['a'] } as unknown as Settings;
  assert.equal(lacksForValues('viewer', settings, ['a']), null);
  assert.equal(lacksForValues('viewer', settings, ['a', 'b']), 'publisher');
  assert.equal(lacksForValues('viewer', settings, []), 'publisher');
});
