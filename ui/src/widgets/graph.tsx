// Lines over time, as a picture of SVG, as one sentence for those who don't see it, and as a table for everybody.

import { clock, moment, t } from "../base/i18n.ts";
import { ceiling, ends, highest, path, thinned, type Line } from "../base/lines.ts";
import { Table } from "./table.tsx";

/** The picture's own units; it is as wide as there is room. */
const WIDTH = 600;
const HEIGHT = 120;

/** More lines than this can't be told apart: those with the highest values are drawn, the table has all. */
export const LINES_MAX = 6;

/** Rows of the table at most. */
const ROWS_MAX = 24;

interface Props {
  title: string;
  lines: Line[];
  /** When the first step began, and how long each is. */
  start: string;
  stepSeconds: number;
  /** How a value is said. */
  format: (value: number) => string;
  /** Where the axis ends, if not with the highest value. */
  top?: number;
}

export function Graph({ title, lines: all, start, stepSeconds, format, top }: Props) {
  const measured = all.filter((line) => line.values.some((value) => value !== null));
  const lines = [...measured].sort((one, other) => highest([other]) - highest([one])).slice(0, LINES_MAX);
  if (lines.length === 0) return null;
  const end = top ?? ceiling(highest(lines));
  const steps = Math.max(...lines.map((line) => line.values.length));
  const at = (step: number): string => new Date(new Date(start).getTime() + step * stepSeconds * 1000).toISOString();
  const words = lines.map((line) => said(line, format, at));
  const isDay = steps * stepSeconds <= 2 * 86_400;
  const time = (step: number): string => (isDay ? clock(at(step)).replace(/^(\d+\D\d+)\D\d+/, "$1") : moment(at(step)));
  return (
    <figure class="graph">
      <figcaption>
        <strong>{title}</strong>
        <ul class="legend">
          {lines.map((line, n) => (
            <li key={line.name}>
              <svg viewBox="0 0 28 8" class={`line-${n}`} aria-hidden="true">
                <path d="M0 4H28" />
              </svg>
              {line.name && `${line.name}: `}
              {latest(line, format)}
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="plot">
        <span class="scale" aria-hidden="true">
          <span>{format(end)}</span>
          <span>{format(0)}</span>
        </span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}. ${words.join(" ")}`}>
          <path class="grid" d={`M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}`} />
          {lines.map((line, n) => (
            <path key={line.name} class={`line-${n}`} d={path(line.values, end, WIDTH, HEIGHT)} />
          ))}
        </svg>
        <span class="times" aria-hidden="true">
          <span>{time(0)}</span>
          <span>{time(steps / 2)}</span>
          <span>{t("graphs.now")}</span>
        </span>
      </div>
      <details>
        <summary>{t("graphs.table", { title })}</summary>
        <Numbers title={title} lines={measured} steps={steps} time={(step) => moment(at(step))} format={format} />
      </details>
    </figure>
  );
}

function latest(line: Line, format: Props["format"]): string {
  const { last } = ends(line.values);
  return last === null ? "–" : format(last);
}

function said(line: Line, format: Props["format"], at: (step: number) => string): string {
  const { last, top, topAt } = ends(line.values);
  const values = { name: line.name, last: format(last ?? 0), top: format(top ?? 0), at: moment(at(topAt)) };
  return line.name ? t("graphs.said-of", values) : t("graphs.said", values);
}

interface NumbersProps {
  title: string;
  lines: Line[];
  steps: number;
  time: (step: number) => string;
  format: Props["format"];
}

/** Latest first: that is what is looked for. */
function Numbers({ title, lines, steps, time, format }: NumbersProps) {
  const size = Math.max(1, Math.ceil(steps / ROWS_MAX));
  const thin = lines.map((line) => thinned(line.values, ROWS_MAX));
  const rows = Array.from({ length: Math.ceil(steps / size) }, (_, at) => at).reverse();
  return (
    <Table
      caption={title}
      rows={rows}
      keyOf={(row) => String(row)}
      empty={t("graphs.nothing")}
      columns={[
        { title: t("graphs.from"), cell: (row) => time(row * size) },
        ...lines.map((line, n) => ({
          title: line.name || title,
          numeric: true,
          cell: (row: number) => {
            const value = thin[n]?.[row] ?? null;
            return value === null ? "–" : format(value);
          },
        })),
      ]}
    />
  );
}
