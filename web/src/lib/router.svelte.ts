// Which screen the address names, and how another one is reached without loading the page anew.
//
// Not here: what was typed on a screen that is left (`typed`).
export type Tab = 'settings' | 'document' | 'history' | 'members' | 'keys' | 'secrets' | 'audit';
export const TABS: Tab[] = ['settings', 'document', 'history', 'members', 'keys', 'secrets', 'audit'];

export type Screen =
  | { name: 'overview' }
  | { name: 'method'; service: string; method: string }
  | { name: 'differences'; service: string; method: string }
  | { name: 'team'; namespace: string; tab: Tab; rest: string[] }
  | { name: 'health' }
  | { name: 'access' }
  | { name: 'nowhere'; path: string };

export function screenOf(path: string): Screen {
  let parts: string[];
  try {
    parts = path.split('/').filter((part) => part !== '').map(decodeURIComponent);
  } catch {
    return { name: 'nowhere', path };
  }
  const [first, second, third, ...rest] = parts;
  if (first === undefined) return { name: 'overview' };
  if (first === 'health' && second === undefined) return { name: 'health' };
  if (first === 'access' && second === undefined) return { name: 'access' };
  if (first === 'm' && second !== undefined && third !== undefined) {
    if (rest.length === 0) return { name: 'method', service: second, method: third };
    if (rest.length === 1 && rest[0] === 'differences') return { name: 'differences', service: second, method: third };
  }
  if (first === 't' && second !== undefined) {
    const tab = TABS.find((name) => name === (third ?? 'settings'));
    if (tab !== undefined) return { name: 'team', namespace: second, tab, rest };
  }
  return { name: 'nowhere', path };
}

export const methodPath = (full: string): string => {
  const slash = full.lastIndexOf('/');
  return `/m/${encodeURIComponent(full.slice(0, slash))}/${encodeURIComponent(full.slice(slash + 1))}`;
};

export const differencesPath = (full: string): string => `${methodPath(full)}/differences`;

export const teamPath = (namespace: string, tab?: Tab, ...rest: string[]): string =>
  ['/t', namespace, ...(tab === undefined ? [] : [tab]), ...rest].map((part, index) => (index === 0 ? part : encodeURIComponent(part))).join('/');

class Router {
  path = $state(location.pathname);
  screen = $derived(screenOf(this.path));

  constructor() {
    history.scrollRestoration = 'auto';
    addEventListener('popstate', () => {
      this.path = location.pathname;
    });
    document.addEventListener('click', (event) => this.#follow(event));
  }

  go(path: string): void {
    if (path === this.path) return;
    history.pushState(null, '', path);
    this.path = location.pathname;
    scrollTo(0, 0);
  }

  /** Links of the page are followed here; all others, and those with a key held, by the browser. */
  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest('a');
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/') || link.hash !== '') return;
    event.preventDefault();
    this.go(link.pathname);
  }
}

export const router = new Router();
