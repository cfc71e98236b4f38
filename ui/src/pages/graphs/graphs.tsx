// What the servers measured of themselves over a day or a month, as graphs: of all together, of each, or of one.

import { useState } from "preact/hooks";
import { query } from "../../base/api.ts";
import { duration, known, list, number, percent, t } from "../../base/i18n.ts";
import { highest, together, type Line } from "../../base/lines.ts";
import { useLive } from "../../base/live.ts";
import type { GraphMetric, Graphs } from "../../base/types.ts";
import { Graph } from "../../widgets/graph.tsx";
import { Section } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";

/** How often the numbers are asked for again while they are looked at, in milliseconds. */
const ASK_MS = 60_000;

/** What can be drawn: what is measured, and how full disks are, which follows from two numbers. */
type Drawn = Exclude<GraphMetric, "disk_used_bytes" | "disk_bytes"> | "disk";

interface Props {
  /** What is drawn, in order. */
  drawn: readonly Drawn[];
  /** Only of this server. */
  server?: string;
  /** One line for all servers. */
  asOne?: boolean;
}

export function GraphsSection({ drawn, server, asOne = false }: Props) {
  const [span, setSpan] = useState("day");
  const read = useLive<Graphs>(`/graphs${query({ span, server: server ?? "" })}`, ASK_MS);
  const graphs = read.data;
  // Who administers a domain sees nothing of the servers: there is nothing to miss.
  if (read.problem?.status === 403) return null;
  return (
    <Section
      title={t("graphs.title")}
      actions={
        <select aria-label={t("graphs.span")} value={span} onChange={(event) => setSpan(event.currentTarget.value)}>
          <option value="day">{t("graphs.day")}</option>
          <option value="month">{t("graphs.month")}</option>
        </select>
      }
    >
      {read.problem && <ProblemBox problem={read.problem} onRetry={read.reload} />}
      {graphs && graphs.unreachable.length > 0 && <p class="remedy">{t("graphs.unreachable", { servers: list(graphs.unreachable) })}</p>}
      {graphs && <Drawings graphs={graphs} drawn={drawn} asOne={asOne} isOne={server !== undefined} />}
    </Section>
  );
}

function Drawings({ graphs, drawn, asOne, isOne }: { graphs: Graphs; drawn: readonly Drawn[]; asOne: boolean; isOne: boolean }) {
  const drawings = drawn.map((what) => ({ what, lines: linesOf(graphs, what, asOne, isOne) }));
  const measured = drawings.filter(({ lines }) => lines.some((line) => line.values.some((value) => value !== null)));
  if (measured.length === 0) return <p class="empty">{t("graphs.nothing")}</p>;
  return (
    <div class="graphs">
      {measured.map(({ what, lines }) => (
        <Graph
          key={what}
          title={known("graph", what)}
          lines={lines}
          start={graphs.start}
          stepSeconds={graphs.step_seconds}
          format={formatOf(what, lines)}
          {...(what === "disk" ? { top: 1 } : {})}
        />
      ))}
    </div>
  );
}

/** The lines of one graph, by servers or as one. */
function linesOf({ series }: Graphs, what: Drawn, asOne: boolean, isOne: boolean): Line[] {
  const of = (metric: GraphMetric): Line[] =>
    series.filter((one) => one.metric === metric).map(({ server, values }) => ({ name: isOne ? "" : server, values }));
  const lines = what === "disk" ? full(of("disk_used_bytes"), of("disk_bytes")) : of(what);
  if (!asOne || lines.length === 0) return lines;
  // What lags or is full is one server; messages and sessions are counted.
  const join = what === "disk" || what === "replication_lag_seconds" || what === "load" ? Math.max : undefined;
  return [{ name: "", values: together(lines, join) }];
}

/** Which part of each disk is taken. */
function full(used: Line[], sizes: Line[]): Line[] {
  return used.map(({ name, values }) => {
    const size = sizes.find((one) => one.name === name)?.values ?? [];
    const part = (value: number | null, at: number): number | null => {
      const whole = size[at] ?? null;
      return value === null || whole === null || whole <= 0 ? null : value / whole;
    };
    return { name, values: values.map(part) };
  });
}

function formatOf(what: Drawn, lines: Line[]): (value: number) => string {
  if (what === "disk") return percent;
  if (what === "replication_lag_seconds") return (value) => (value === 0 ? number(0) : duration(value));
  const digits = highest(lines) < 10 ? 2 : 0;
  return (value) => number(value, digits);
}
