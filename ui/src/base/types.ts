// What the administration API shows, by the names that it gives (crates/server/src/admin).

export interface Page<T> {
  items: T[];
  /** The `after` of the following page. */
  next: string | null;
  /** Servers that were asked and did not answer. */
  unreachable?: string[];
}

export interface Session {
  login: string;
  name: string;
  rights: { domain: string | null; unit: string; permissions: string[] }[];
  second_factor: boolean;
  openid?: boolean;
  expires: string;
}

export interface AuditLine {
  number: number;
  at: string;
  about: string | null;
  who: string;
  via: string;
  peer: string;
  method: string;
  path: string;
  status: number;
  body: string;
}

export interface Grant {
  user: string;
  role: string;
  domain: string | null;
  unit?: string;
}

export interface Role {
  name: string;
  description: string;
  permissions: string[];
  builtin: boolean;
}

export interface Passkey {
  id: string;
  name: string;
  host: string;
  backed_up: boolean;
  created_at: string;
  used_at: string | null;
}

export interface ApiToken {
  id: string;
  name: string;
  user: string | null;
  permissions: string[];
  domain: string | null;
  created_at: string;
  expires_at: string;
  token?: string;
}

export interface AppPassword {
  id: string;
  name: string;
  protocols: string[];
  created_at: string;
  expires_at: string | null;
  password?: string;
}

export interface SignedIn {
  id: string;
  user: string;
  created_at: string;
  used_at: string;
  ends_at: string;
  peer: string;
  agent: string;
  current: boolean;
}

export interface Finding {
  server: string | null;
  what: string;
  remedy: string;
}

export interface ServerHealth {
  id: string;
  name: string;
  address: string;
  roles: string[];
  accounts: number;
  accepts_new_accounts: boolean;
  draining: boolean;
  weight: number;
  reachable: boolean;
  cause: string | null;
  version: string | null;
  started_at: string | null;
  free_bytes: number | null;
  disk_bytes: number | null;
  directory_modseq: number | null;
  certificate_not_after: string | null;
  client_certificate_not_after: string | null;
  dane_off: string | null;
}

export interface Status {
  node: { id: string; name: string; roles: string[]; version: string; started_at: string };
  directory: {
    installation: string | null;
    is_main: boolean;
    modseq: number;
    domains: number;
    users: number;
    groups: number;
    shared_mailboxes: number;
  };
  problems: Finding[];
  servers: ServerHealth[];
}

export interface Certificate {
  name: string;
  names: string[];
  issuer: string;
  directory: string;
  not_before: string;
  not_after: string;
}

/** How the asking for certificates stands. */
export interface Acme {
  state: "off" | "terms" | "failing" | "waiting" | "good";
  directory: string | null;
  contact: string | null;
  terms_agreed: boolean;
  names: string[];
  failure: { what: string; remedy: string; at: string } | null;
  not_before: string | null;
  renew_at: string | null;
  left_out: { name: string; why: string; again_at: string | null }[];
}

/** How one server guards the ports that servers use among themselves. */
export interface Guarded {
  name: string;
  address: string;
  ports: number[];
  state: "off" | "on" | "following" | "failed" | "silent";
  failure: string | null;
  remedy: string | null;
  rules: string | null;
  rules_before: string | null;
}

/** Who may reach those ports. */
export interface Firewall {
  on: boolean;
  networks: string[];
  confirm_by: string | null;
  servers: Guarded[];
}

export interface Domain {
  id: number;
  name: string;
  aliases: string[];
  description: string;
  servers: string[];
  suspended: boolean;
  postmaster: string | null;
  plus_separators: string;
  retention_days: number;
  full_mailbox: "defer" | "refuse";
  contacts_inside?: number;
  created_at: string;
}

export interface DnsRecord {
  name: string;
  type: string;
  ttl: number;
  value: string;
  need: "mail" | "clients" | "advised";
  purpose: string;
  zone: string;
  /** What DNS says, where the server looked. */
  found?: { state: "right" | "missing" } | { state: "other"; values: string[] } | { state: "unknown"; values: string };
}

export interface Dns {
  items: DnsRecord[];
  problems: string[];
}

export interface DkimKey {
  selector: string;
  domain: string;
  algorithm: string;
  state: "new" | "active" | "retired";
  since: string;
  created: string;
  dns: "published" | "missing" | "differs" | "unknown";
  record_name: string;
  record: string;
}

export type EntryKind = "user" | "group" | "shared" | "resource";

export interface ResourceRules {
  kind: string;
  answers: string;
  capacity: number | null;
  bookings: number;
  hours: string | null;
  ahead_days: number | null;
  longest_minutes: number | null;
  series: boolean;
  managers: string[];
}

export interface Entry {
  id: number;
  kind: EntryKind;
  address: string;
  aliases: string[];
  display_name: string;
  /** The organisational unit, as a path. */
  unit?: string;
  suspended: boolean;
  hidden?: boolean;
  senders: string[];
  forward_to?: string[];
  forward_only?: boolean;
  login?: string | null;
  admin?: boolean;
  has_password?: boolean;
  quota_bytes?: number | null;
  used_bytes?: number | null;
  used_items?: number | null;
  server?: string;
  external_members?: boolean;
  internal_senders_only?: boolean;
  member_count?: number;
  resource?: ResourceRules;
  created_at: string;
}

/** Something that was deleted and can be had back. */
export interface Binned extends Entry {
  deleted_at: string;
  deleted_by: string;
  deleted_until: string;
}

/** Somebody outside, whom a domain keeps in its address book. */
export interface Contact {
  id: number;
  address: string;
  domain: string;
  display_name: string;
  organisation: string;
  phone: string;
  note: string;
  unit?: string;
  groups?: string[];
  created_at: string;
}

/** A session of a mail program. */
export interface Connection {
  id: string;
  protocol: string;
  server: string;
  peer: string;
  encrypted: boolean;
  since: string;
  client: string | null;
}

export interface Member {
  address: string;
  kind: "user" | "group" | "shared" | "resource" | "contact" | "external" | "gone";
  id?: number;
}

export interface Place {
  account: number;
  address: string;
  server: string;
  server_id: string;
  copies: string[];
  moving_to: string | null;
  job: number | null;
}

export interface Copy {
  account: number;
  address: string;
  server: string;
  purpose: "moving" | "kept" | "standby";
  since: string;
  until: string | null;
  durability: number | null;
  stage: string | null;
  lag: number | null;
  equal_since: string | null;
}

export interface AclEntry {
  kind: "mailbox" | "calendar" | "tasks" | "notes" | "address-book" | "folder";
  mailbox: string;
  identifier: string;
  rights: string;
}

export interface Script {
  name: string;
  active: boolean;
  size_bytes: number;
  written_at: string;
  text?: string;
  trouble: string | null;
  trouble_since: string | null;
}

export interface Speed {
  server: string;
  bytes_per_second: number;
  allowed_bytes_per_second: number | null;
  slowed: string | null;
}

export interface Server {
  id: string;
  name: string;
  address: string;
  roles: string[];
  answers: boolean;
  since: string | null;
  cause: string | null;
  version: string | null;
  started_at: string | null;
  load: number | null;
  copying: Speed | null;
  weight: number;
  accepts_new_accounts: boolean;
  draining: boolean;
  standby: string | null;
  standby_durability: number | null;
  accounts: number;
  copies: number;
  moves_in: number;
  moves_out: number;
  used_bytes: number | null;
  free_bytes: number | null;
  disk_bytes: number | null;
  created_at: string;
}

export interface Token {
  id: string;
  token?: string;
  name: string | null;
  roles: string[];
  expires_at: string;
}

export interface Job {
  id: number;
  kind: string;
  what: string;
  state: "running" | "paused" | "aborting" | "done" | "aborted";
  by: string;
  created_at: string;
  ended_at: string | null;
  total: number;
  done: number;
  failed: number;
  aborted: number;
  left: number;
}

export interface Move {
  account: number;
  address: string;
  from: string;
  to: string;
  job: number;
  phase: "planned" | "copying" | "cut-over" | "failed";
  attempts: number;
  failed: string | null;
  planned_at: string;
  started_at: string | null;
  bytes: number | null;
  copied_bytes: number | null;
  lag: number | null;
  trouble: string | null;
}

export interface JobProgress extends Job {
  bytes_total: number;
  bytes_left: number;
  unknown_sizes: number;
  bytes_per_second: number | null;
  expected_end_at: string | null;
  lag: number;
  servers: Speed[];
  moving: Move[];
  failures: Move[];
}

export interface JobLogLine {
  number: number;
  at: string;
  what: string;
  says: string;
  address: string | null;
  from: string | null;
  to: string | null;
  cut_over_ms: number | null;
}

export interface PlannedMove {
  account: number;
  address: string;
  from: string;
  to: string;
  bytes: number | null;
  has_copy: boolean;
}

export interface Plan {
  job: Job | null;
  moves: PlannedMove[];
  refused: { account: number; address: string; server: string; code: string; reason: string }[];
  there: string[];
  bytes: number;
  unknown_sizes: number;
  expected_seconds: number;
}

export interface Failover {
  job: Job | null;
  refused: { account: number; address: string; reason: string }[];
  /** Since when the server doesn't answer. */
  silent_since: string | null;
  /** Accounts whose acknowledgements waited for the copy. */
  safe: number;
  /** Accounts whose copy had everything that it had heard of. */
  complete: number;
  behind: number;
  changes_lost: number;
  unknown: number;
}

export interface Setting {
  name: string;
  value: string | null;
  from: "domain" | "system" | "default";
  default: string | null;
}

export interface SettingChange {
  change: number;
  at: string;
  by: string;
  domain: string | null;
  name: string;
  before: string | null;
  after: string | null;
  reverts: number | null;
}

export interface Delivery {
  id: string;
  /** In whose queue it is. */
  server: string;
  sender: string;
  recipients: string[];
  destination: string;
  state: "waiting" | "held";
  size_bytes: number;
  origin: string;
  received: string;
  expires: string;
  attempts: number;
  next: string;
  last: string | null;
  last_host: string;
  last_reply: string;
}

export interface Greylisted {
  network: string;
  sender: string;
  recipient: string;
  server: string;
  state: "waiting" | "passed" | "good";
  first: string;
  last: string;
}

export type GraphMetric =
  | "queue_messages"
  | "deliveries_per_minute"
  | "sessions"
  | "replication_lag_seconds"
  | "disk_used_bytes"
  | "disk_bytes"
  | "load";

export interface Graphs {
  span: "day" | "month";
  step_seconds: number;
  start: string;
  series: { server: string; metric: GraphMetric; values: (number | null)[] }[];
  unreachable: string[];
}

export interface TraceEvent {
  at: string;
  recipient: string;
  what: "refused" | "verdict" | "delivered" | "queued" | "sent" | "deferred" | "failed";
  destination: string;
  server: string | null;
  host: string;
  detail: string;
  next: string | null;
}

export interface TracedMessage {
  id: string | null;
  at: string;
  edge: string;
  message_id: string | null;
  sender: string;
  origin: string;
  size_bytes: number;
  events: TraceEvent[];
}

export interface Trace {
  messages: TracedMessage[];
  not_asked: string[];
}

export interface Maintenance {
  modseq: number;
  tables: { table: string; rows: number }[];
  last: string | null;
  changes: {
    added: number;
    removed: number;
    changed: number;
    shown: { table: string; key: string; before: string | null; after: string | null }[];
  };
  problems: Finding[];
  not_asked: string[];
}

/** A directory elsewhere that people come from. */
export interface Source {
  name: string;
  kind: string;
  domain: string;
  linked: number;
  every_minutes: number;
  enabled: boolean;
  last_run: SourceRun | null;
}

export interface SourceRun {
  number: number;
  source: string;
  started_at: string;
  ended_at: string | null;
  by: string;
  full: boolean;
  outcome: string;
  done: number;
  failed: number;
  held: number;
  log?: string;
}

export interface SourceStep {
  action: string;
  kind: string;
  address: string;
  reason?: string;
  fields: { name: string; before: string; after: string }[];
}

export interface SourcePlan {
  steps: SourceStep[];
  held: SourceStep[];
  guard: string | null;
  problems: string[];
  found: number;
  unchanged: number;
}

export type UpdateAction = "prepare" | "check" | "download" | "apply" | "pause" | "resume" | "rollback" | "finish";

export interface UpdatePlan {
  number: number;
  fingerprint: string;
  target: string;
  made_at: string;
  by: string;
  steps: { server: string; roles: string; from: string; to: string; expected_ms: number; state: "waiting" | "asked" | "proven" }[];
  away: string[];
  notes: string[];
  blocked: string[];
  release_notes: string[];
  download_bytes: number;
  space_bytes: number;
  expected_ms: number;
  text: string;
}

export interface UpdateRun {
  begun_at: string;
  ended_at: string | null;
  by: string;
  is_over: boolean;
  is_well: boolean;
  servers: { server: string; state: "running" | "done" | "failed" | "away"; done: number; total: number }[];
  findings: { server: string | null; is_blocking: boolean; says: string; remedy: string }[];
}

export interface Update {
  policy: string;
  repository: string | null;
  phase: "idle" | "prepared" | "rolling" | "paused" | "stopped" | "rolled" | "rolled-back" | "finished";
  direction: "forth" | "back";
  reason: string;
  by: string;
  changed_at: string | null;
  plan: UpdatePlan | null;
  check: UpdateRun | null;
  download: UpdateRun | null;
  actions: UpdateAction[];
}

export interface UpdateEvent {
  number: number;
  at: string;
  plan: number;
  what: string;
  says: string;
  by: string;
}
