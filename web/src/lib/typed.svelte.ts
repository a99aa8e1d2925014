// What was typed and is not published yet. It outlives the screen, not the tab: whoever looks at
// another screen finds it again, and closing the tab asks first.
import type { Json } from './types.ts';

export interface TypedText {
  text: string;
  /** The version that was live when typing began. */
  base: number;
}

class Typed {
  settings = $state<Record<string, Record<string, Json>>>({});
  texts = $state<Record<string, TypedText>>({});

  constructor() {
    addEventListener('beforeunload', (event) => {
      if (this.any()) event.preventDefault();
    });
  }

  any(): boolean {
    return Object.keys(this.texts).length > 0 || Object.values(this.settings).some((edits) => Object.keys(edits).length > 0);
  }
}

export const typed = new Typed();
