// Rates from counters: a gap is never bridged, and nothing is made of too little.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figures, KEPT, push, rates, type Series } from '../../src/lib/series.ts';

function series(...points: [at: number, calls: number, errors?: number][]): Series {
  const made: Series = [];
  for (const [at, calls, errors = 0] of points) push(made, { at, calls, errors, p50: null, p99: null, mean: null });
  return made;
}

test('one reading is no rate', () => {
  assert.equal(figures(series(), 10), null);
  assert.equal(figures(series([1, 100]), 10), null);
  assert.deepEqual(rates(series([1, 100])).at, []);
});

test('two readings are a rate, with the calls that it was made of', () => {
  assert.deepEqual(figures(series([1, 100, 0], [3, 120, 5]), 10), { rate: 10, failed: 0.25, calls: 20, seconds: 2 });
  assert.deepEqual(rates(series([1, 100, 0], [3, 120, 5])), { at: [3], calls: [10], errors: [2.5], p50: [null], p99: [null], gaps: [] });
});

test('no call is a rate of zero, and nothing is known of its errors', () => {
  assert.deepEqual(figures(series([1, 7], [2, 7]), 10), { rate: 0, failed: null, calls: 0, seconds: 1 });
});

test('only the window counts', () => {
  const all = series(...Array.from({ length: 30 }, (_, at): [number, number] => [at, at < 20 ? 0 : (at - 19) * 5]));
  assert.deepEqual(figures(all, 5), { rate: 5, failed: 0, calls: 25, seconds: 5 });
});

test('a silence is a gap: nothing is drawn in it, and no rate is made across it', () => {
  const all = series([1, 10], [2, 20], [60, 900], [61, 905]);
  assert.deepEqual(rates(all), { at: [2, 60, 61], calls: [10, null, 5], errors: [0, null, 0], p50: [null, null, null], p99: [null, null, null], gaps: [[2, 60]] });
  assert.deepEqual(figures(all, 100), { rate: 5, failed: 0, calls: 5, seconds: 1 });
});

test('a gateway that began anew is a gap and no negative rate', () => {
  const all = series([1, 1000], [2, 1010], [3, 4], [4, 6]);
  assert.deepEqual(rates(all).calls, [10, null, 2]);
  assert.deepEqual(rates(all).gaps, [[2, 3]]);
});

test('one late reading is no gap', () => {
  assert.deepEqual(rates(series([1, 0], [4, 30])).gaps, []);
  assert.equal(rates(series([1, 0], [4.6, 30])).gaps.length, 1);
});

test('readings that are almost one are taken as one', () => {
  assert.equal(series([1, 0], [1.4, 30]).length, 1);
  assert.equal(series([1, 0], [1.5, 30]).length, 2);
});

test('no more is kept than is shown', () => {
  assert.equal(series(...Array.from({ length: KEPT + 50 }, (_, at): [number, number] => [at, at])).length, KEPT);
});
