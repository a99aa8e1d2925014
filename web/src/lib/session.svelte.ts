// Who sits before the page.
//
// A session that ends while something is typed does not take the screen away: signing in again
// lies over it.
import { ask, problemsOf, Refusal, whenSessionIsLost } from './api.ts';
import { live } from './live.svelte.ts';
import { lacks, roleIn, type Act } from './rights.ts';
import type { Problem, Role, Session } from './types.ts';

/** That this browser was signed in. No secret: it only spares a stranger's browser a question. */
const HINT = 'tandem-was-signed-in';

class Who {
  me = $state.raw<Session | null>(null);
  /** Whether it is known that nobody is signed in, or somebody is. */
  known = $state(false);
  lost = $state(false);
  problems = $state.raw<Problem[]>([]);

  async begin(): Promise<void> {
    const link = new URLSearchParams(location.hash.slice(1)).get('link');
    if (link !== null) {
      // Out of the address before anything else: it is good for one use, and belongs in no history.
      history.replaceState(history.state, '', location.pathname + location.search);
      await this.#signIn({ link });
    } else if (localStorage.getItem(HINT) !== null) {
      await this.#look();
    }
    this.known = true;
  }

  async signIn(token: string): Promise<boolean> {
    return this.#signIn({ token });
  }

  async signOut(): Promise<void> {
    live.stop();
    // A session that the gateway no longer knows is as good as ended.
    await ask('DELETE', '/session').catch(() => {});
    localStorage.removeItem(HINT);
    this.me = null;
    this.lost = false;
  }

  role(namespace: string): Role | null {
    return this.me === null ? null : roleIn(this.me, namespace);
  }

  lacks(namespace: string, act: Act): Role | null {
    return lacks(this.role(namespace), act);
  }

  async #signIn(credential: { token: string } | { link: string }): Promise<boolean> {
    this.problems = [];
    try {
      await ask('POST', '/session', { body: credential });
    } catch (thrown) {
      this.problems = problemsOf(thrown);
      return false;
    }
    if (await this.#look()) return true;
    if (this.problems.length === 0) {
      this.problems = [{
        code: '', severity: 'error', where: '', what: 'the browser did not keep the session',
        why: 'its cookie is a secure one, which not every browser takes over plain HTTP from this machine',
        fix: 'use another browser, or the address of the gateway with TLS',
      }];
    }
    return false;
  }

  async #look(): Promise<boolean> {
    try {
      this.me = (await ask<Session>('GET', '/session')).data;
      this.lost = false;
      localStorage.setItem(HINT, 'yes');
      live.start();
      return true;
    } catch (thrown) {
      if (thrown instanceof Refusal && thrown.status === 401) localStorage.removeItem(HINT);
      else this.problems = problemsOf(thrown);
      return false;
    }
  }
}

export const session = new Who();

live.mayGoOn = async () => {
  try {
    await ask('GET', '/session');
    return true;
  } catch (thrown) {
    if (!(thrown instanceof Refusal && thrown.status === 401)) return true;
    if (session.me !== null) session.lost = true;
    return false;
  }
};

whenSessionIsLost(() => {
  if (session.me !== null) session.lost = true;
});
