// How far a change of the machine is, as `/migration` answers.

export type MigrationAction = "switch" | "back" | "finish" | "abort";

interface Machine {
  id: string;
  name: string;
  address: string | null;
  roles: string[];
  accounts: number;
}

export interface Migration {
  phase: "syncing" | "switching" | "switched" | "returning" | "finishing" | "done" | "aborting" | "aborted";
  pace: "rolling" | "at-once";
  from: Machine;
  to: Machine;
  main: string | null;
  begun_at: string;
  changed_at: string;
  by: string;
  says: string;
  trouble: string | null;
  heartbeat: string | null;
  deadline: string | null;
  is_late: boolean;
  actions: MigrationAction[];
  job: string | null;
  left_behind: string[];
  copies: {
    accounts: number;
    equal: number;
    changes: number;
    fetched_bytes: number;
    bytes: number;
    trouble: string | null;
    expected_cold_ms: number;
    behind: string[];
  };
  checks: { name: string; is_well: boolean; says: string; remedy: string | null }[];
}

export interface MigrationAccount {
  account: number;
  address: string;
  state: "missing" | "copying" | "equal";
  behind: number | null;
  bytes: number;
  fetched_bytes: number;
  trouble: string | null;
}

/** A token for the machine that takes another one's place, as it is shown once. */
export interface SuccessorToken {
  token: string | null;
  server: string;
  address: string;
  expires_at: string;
}

/** One name in DNS. */
export interface AfterwardsName {
  name: string;
  type: "A" | "MX";
  found: string[];
  wanted: string[];
  state: "done" | "old" | "neither" | "missing" | "unknown";
  cause: string | null;
}

/** What still names the machine that is left, as `/migration/afterwards` answers. */
export interface Afterwards {
  from: string;
  to: string;
  is_time: boolean;
  changes: { id: string; name: string; domain: string | null; before: string; after: string }[];
  names: AfterwardsName[];
  problems: string[];
}
