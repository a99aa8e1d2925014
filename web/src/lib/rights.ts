// Which role an act needs. The gateway decides (`config::access` has the table); this only keeps
// the page from offering what would be refused, and names the role that would do.
import type { Role, Session, Settings } from './types.ts';

export const ROLES: Role[] = ['viewer', 'editor', 'publisher', 'owner'];

export type Act = 'read' | 'draft' | 'publish' | 'roll back' | 'members' | 'keys' | 'secrets' | 'audit';

const NEEDS: Record<Act, Role> = {
  read: 'viewer',
  draft: 'editor',
  publish: 'publisher',
  'roll back': 'publisher',
  members: 'owner',
  keys: 'owner',
  secrets: 'owner',
  audit: 'owner',
};

const rank = (role: Role | null | undefined): number => (role ? ROLES.indexOf(role) : -1);

/** The role that `act` needs and `role` is not; null where it may. */
export function lacks(role: Role | null | undefined, act: Act): Role | null {
  const needed = NEEDS[act];
  return rank(role) >= rank(needed) ? null : needed;
}

/** As `lacks`, for publishing values: single fields may be open to somebody without the role. */
export function lacksForValues(role: Role | null | undefined, settings: Settings, fields: string[]): Role | null {
  if (fields.length > 0 && fields.every((field) => settings.may_change.includes(field))) return null;
  return lacks(role, 'publish');
}

/** Whether a field's widget is open at all: it may be published or at least drafted. */
export function mayEdit(role: Role | null | undefined, settings: Settings, field: string): boolean {
  return settings.may_change.includes(field) || lacks(role, 'draft') === null;
}

export function roleIn(session: Session, namespace: string): Role | null {
  return session.roles[namespace] ?? null;
}
