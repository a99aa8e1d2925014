// What the admin API gives and takes (docs/manual/admin-api.md). Fields are only ever added, so
// nothing here is taken to be complete; what a gateway may not say yet is optional.

export type Role = 'viewer' | 'editor' | 'publisher' | 'owner';
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Problem {
  code: string;
  severity: 'error' | 'warning';
  where: string;
  what: string;
  why: string;
  fix: string;
  /** Of a document, from 1; where the gateway says it. */
  line?: number | null;
  column?: number | null;
}

export interface Session {
  who: string;
  groups: string[];
  platform_admin: boolean;
  roles: Record<string, Role>;
  expires: string | null;
}

export interface MethodFigures {
  namespace: string;
  method: string;
  calls: number;
  errors: number;
  in_flight?: number;
  abandoned?: number;
  codes?: Record<string, number>;
  mean_ms?: number | null;
  p50_ms?: number | null;
  p99_ms?: number | null;
}

export interface NamespaceStatus {
  name: string;
  contract?: string | boolean | null;
  digest?: string | null;
  problems?: (string | Problem)[];
  version?: number;
}

export interface SettingsStatus {
  namespace?: string;
  service: string;
  version?: number;
  instances: Instance[];
}

export interface Status {
  version: string;
  ready?: boolean;
  threads?: number;
  listeners: Record<string, string>;
  namespaces: NamespaceStatus[];
  methods: MethodFigures[];
  store?: Json;
  settings?: SettingsStatus[] | null;
}

export interface ServedMethod {
  namespace: string;
  method: string;
  kind: string;
  idempotency: string;
  deprecated: boolean;
  input: string | null;
  output: string | null;
  rest: { http_method: string; path: string; body: string; response_body: string }[];
  [rule: string]: unknown;
}

export interface ServedNamespace {
  name: string;
  hosts: string[];
  contract: boolean;
  upstreams: { name: string; addresses: string[]; tls: boolean }[];
}

export interface NamespaceSummary {
  name: string;
  role: Role | null;
  version: number;
  hosts: string[];
  methods: number | null;
  draft: boolean;
  contract: string | boolean | null;
  problems: (string | Problem)[];
}

export interface Version {
  number: number;
  who: string;
  when: string;
  why: string;
  origin: 'published' | { rolled_back: { to: number } };
  live: boolean;
  text?: string;
}

export interface Namespace {
  name: string;
  role: Role | null;
  version: Version | null;
  text: string | null;
  may: Json;
  quota: Json;
}

export interface Draft {
  text: string;
  base: number;
  who: string;
  when: string;
}

export interface DiffLine {
  path: string;
  before: Json | undefined;
  after: Json | undefined;
}

export type Kind =
  | 'bool' | 'int32' | 'int64' | 'uint32' | 'uint64' | 'float' | 'double' | 'string' | 'bytes'
  | 'enum' | 'rollout' | 'duration' | 'timestamp' | 'message' | 'json';

export interface Rule {
  rule: string;
  value: string;
  must: string;
}

export interface Field {
  name: string;
  label: string;
  comment: string;
  kind: Kind;
  repeated: boolean;
  map: boolean;
  /** Of its members one is given at most. */
  oneof?: string | null;
  default: Json;
  rules: Rule[];
  min: string | null;
  max: string | null;
  max_items: number | string | null;
  min_len: number | string | null;
  max_len: number | string | null;
  values: string[];
  fields: Field[];
}

export type InstanceState = 'applied' | 'refused' | 'pending' | 'gone';

export interface Instance {
  instance: string;
  version: number;
  state: InstanceState;
  reason: string | null;
  seen: string;
}

export interface Settings {
  service: string;
  message: string;
  version: number;
  require: 'none' | 'all';
  /** Null where what is written is refused; `problems` says why. */
  values: Record<string, Json> | null;
  problems?: Problem[];
  written: Record<string, Json>;
  may_change: string[];
  fields: Field[];
  instances: Instance[];
}

export interface SettingsVersion {
  number: number;
  who: string;
  when: string;
  why: string;
  values: Record<string, Json>;
  changed: string[];
}

export interface Member {
  who: string;
  role: Role;
  from: 'store' | 'platform';
}

export interface CallerKey {
  id: string;
  name: string;
  scopes: string[];
  who: string;
  when: string;
  expires: string | null;
}

export interface Secret {
  name: string;
  fingerprint: string;
}

export interface AuditEntry {
  number: number;
  when: string;
  who: string;
  action: string;
  object: string;
  why: string;
  outcome: string | { refused: string };
  source: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  head: string | { number: number; digest: string };
}

export interface AuditVerdict {
  whole: boolean;
  entries: number | null;
  head: string | null;
  faults: (string | Problem)[];
}

export interface AdminToken {
  id: string;
  name: string;
  who: string;
  when: string;
  expires: string | null;
  used: string | null;
}

export interface ChangeEvent {
  namespace: string;
  version: number;
  who: string;
  why: string;
  when: string;
}

export interface Quantile {
  value_s: number;
  interval: [number, number] | null;
  n: number;
  dimmed: boolean;
}

export interface Lane {
  role: 'primary' | 'candidate' | 'twin';
  upstream: string;
  calls: number;
  errors: number;
  p50: Quantile | null;
  p99: Quantile | null;
  /** Of one call; where the upstream names what it costs. */
  cpu_s?: number | null;
  idle_cpu?: number | null;
  memory_bytes?: number | null;
}

export type PathClass = 'different-always' | 'worse' | 'masked' | 'identical' | 'noisy-equal' | 'unknown';

/** What moves of a mirrored method. */
export interface Pair {
  namespace: string;
  method: string;
  primary: string;
  candidate: string;
  twin: string | null;
  noise: 'twin' | 'twice' | 'rules';
  since: string;
  seconds: number;
  pairs: number;
  pairs_per_second: number | null;
  critical: number;
  sampled_after_cache: boolean;
  classes: { worse: number; noise: number; identical: number; unknown: number };
  differing: number | null;
  lost: Record<string, { candidate: number; twin: number }>;
  dropped: Record<string, number>;
  lanes: Lane[];
  word: string;
  evidence: string;
}

export interface OpenQuestion {
  id: string;
  what: string;
  pairs: number | null;
  seconds: number | null;
}

export interface PairMetric {
  id: string;
  unit: string;
  primary: { value: number; interval: [number, number] | null; n: number };
  candidate: { value: number; interval: [number, number] | null; n: number };
  ratio: number;
  interval: [number, number] | null;
  cell: 'better' | 'same' | 'worse' | 'unknown';
  counts: boolean;
  against?: string;
}

export interface LiveVerdict extends Pair {
  sentence: string;
  known: string[];
  open: OpenQuestion[];
  document: { metrics: PairMetric[] };
}

export interface PathEvidence {
  path: string;
  class: PathClass;
  candidate_only: number;
  twin_only: number;
  both: number;
  pairs: number;
  e_value: number;
  bound: number;
  critical: number;
  why: string | null;
  /** A rule that somebody may make of it: how it is accepted, how it reads, what it rests on. */
  proposed: { as: string; rule: string; why: string } | null;
}

export interface DifferingPath extends PathEvidence {
  lines: { path: string; count: number; what: string[] }[];
  samples: { place: string; what: string; primary: string | null; candidate: string | null }[];
}

export interface Differences {
  namespace: string;
  method: string;
  primary: string;
  candidate: string;
  noise: Pair['noise'];
  pairs: number;
  critical: number;
  samples: 'on' | 'off' | 'publisher';
  paths: DifferingPath[];
}

export interface Noise {
  noise: Pair['noise'];
  pairs: number;
  learned: (PathEvidence & { flagged: boolean })[];
  ignored: string[];
}
