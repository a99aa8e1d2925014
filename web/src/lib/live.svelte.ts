// What the gateway tells by itself: its figures and live pairs once a second, and each version that
// goes live.
//
// A hidden tab listens to nothing and says so afterwards by a gap. Figures are kept by method for
// three minutes, in this tab only.
//
// Not here: how rates are made of counters (`series`).
import { push, type Series } from './series.ts';
import type { ChangeEvent, MethodFigures, Pair, Status } from './types.ts';

export type LiveState = 'off' | 'connecting' | 'live' | 'paused' | 'lost';

type OnChange = (change: ChangeEvent) => void;

export const methodKey = (of: { namespace: string; method: string }): string => `${of.namespace} ${of.method}`;

class Live {
  state = $state<LiveState>('off');
  status = $state.raw<Status | null>(null);
  /** Moves with each event; what draws reads it. */
  tick = $state(0);
  /** Seconds since 1970, by this machine's clock. */
  now = $state(Date.now() / 1000);
  changes = $state.raw<ChangeEvent[]>([]);
  /** Every method whose calls are mirrored. */
  pairs = $state.raw<Pair[]>([]);

  /** Asked before a stream that was refused is asked for again: failed attempts are counted. */
  mayGoOn: () => Promise<boolean> = () => Promise.resolve(true);

  #tries = 0;
  readonly #series = new Map<string, Series>();
  readonly #listeners = new Set<OnChange>();
  #source: EventSource | null = null;
  #wanted = false;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#follow());
    setInterval(() => {
      if (!document.hidden) this.now = Date.now() / 1000;
    }, 1000);
  }

  start(): void {
    this.#wanted = true;
    this.#follow();
  }

  stop(): void {
    this.#wanted = false;
    this.#close('off');
    this.status = null;
    this.changes = [];
    this.pairs = [];
    this.#series.clear();
  }

  series(key: string): Series {
    return this.#series.get(key) ?? [];
  }

  figures(key: string): MethodFigures | undefined {
    return this.status?.methods.find((method) => methodKey(method) === key);
  }

  pair(key: string): Pair | undefined {
    return this.pairs.find((pair) => methodKey(pair) === key);
  }

  /** Calls `then` for each change; returns what ends it. */
  onChange(then: OnChange): () => void {
    this.#listeners.add(then);
    return () => this.#listeners.delete(then);
  }

  #follow(): void {
    if (!this.#wanted) return;
    if (document.hidden) this.#close('paused');
    else if (this.#source === null) this.#open();
  }

  #open(): void {
    this.state = 'connecting';
    const source = new EventSource('/api/v1/events');
    this.#source = source;
    source.addEventListener('status', (event) => this.#take(JSON.parse(event.data) as Status));
    source.addEventListener('pairs', (event) => {
      this.pairs = JSON.parse(event.data) as Pair[];
    });
    source.addEventListener('change', (event) => {
      const change = JSON.parse(event.data) as ChangeEvent;
      this.changes = [change, ...this.changes].slice(0, 100);
      for (const then of this.#listeners) then(change);
    });
    source.addEventListener('error', () => {
      this.state = 'lost';
      // The browser tries again by itself unless the answer was no stream of events.
      if (source.readyState === EventSource.CLOSED && this.#source === source) {
        this.#source = null;
        void this.#again();
      }
    });
  }

  async #again(): Promise<void> {
    if (!(await this.mayGoOn())) {
      this.#wanted = false;
      this.#close('off');
      return;
    }
    this.#tries += 1;
    setTimeout(() => this.#follow(), Math.min(30_000, 1500 * 2 ** this.#tries));
  }

  #close(state: LiveState): void {
    this.#source?.close();
    this.#source = null;
    this.state = state;
  }

  #take(status: Status): void {
    const at = Date.now() / 1000;
    for (const method of status.methods) {
      const key = methodKey(method);
      let series = this.#series.get(key);
      if (series === undefined) this.#series.set(key, (series = []));
      push(series, {
        at,
        calls: method.calls,
        errors: method.errors,
        p50: method.p50_ms ?? null,
        p99: method.p99_ms ?? null,
        mean: method.mean_ms ?? null,
      });
    }
    this.#tries = 0;
    this.state = 'live';
    this.status = status;
    this.now = at;
    this.tick += 1;
  }
}

export const live = new Live();
