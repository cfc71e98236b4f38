// Small parts that every page has.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { bytes, percent, t } from "../base/i18n.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { Link } from "./link.tsx";
import { ProblemBox } from "./problem.tsx";
import type { Read } from "../base/live.ts";

interface PageProps {
  title: string;
  /** Where the way back leads. */
  up?: { to: string; title: string };
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Page({ title, up, lead, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} – ${t("product")}`;
  }, [title]);
  return (
    <>
      <header class="page">
        <div>
          {up && (
            <Link to={up.to} class="up">
              <Icon name="back" />
              {up.title}
            </Link>
          )}
          <h1 tabIndex={-1}>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}

interface SectionProps {
  title: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Section({ title, lead, actions, children }: SectionProps) {
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {lead && <p class="lead">{lead}</p>}
      {children}
    </section>
  );
}

export type Tone = "good" | "attention" | "bad" | "info" | "plain";

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`state ${tone}`}>{children}</span>;
}

/** How much of something is taken, as a bar with words. */
export function Usage({ used, of, label }: { used: number; of: number; label: string }) {
  const part = of > 0 ? Math.min(1, used / of) : 0;
  const tone = part > 0.95 ? "bad" : part > 0.8 ? "attention" : "good";
  const words = t("usage", { used: bytes(used), of: bytes(of), percent: percent(part) });
  return (
    <span class="usage">
      <Bar part={part} tone={tone} label={`${label}: ${words}`} />
      <span>{words}</span>
    </span>
  );
}

/** A bar of SVG: the policy for styles forbids widths in attributes, and lets them be in SVG. */
export function Bar({ part, tone, label }: { part: number; tone: Tone; label: string }) {
  const width = Math.round(Math.max(0, Math.min(1, part)) * 1000) / 10;
  return (
    <svg class={`bar ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="rail" width="100" height="8" />
      <rect class="fill" width={width} height="8" />
    </svg>
  );
}

/** Work under way, as screen readers hear it, too. */
export function Progress({ part, label }: { part: number; label: string }) {
  return <progress max={100} value={Math.round(part * 1000) / 10} aria-label={label} />;
}

/** A text that can be copied. */
export function Copyable({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <span class="copyable">
      <code>{text}</code>
      <Button
        kind="quiet"
        icon={copied ? "check" : "copy"}
        label={copied ? t("copied") : t("copy.what", { what: label })}
        onPress={copy}
      />
    </span>
  );
}

/** Names and values, one below the other. */
export function Facts({ items }: { items: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** What is read, or why it can't be, or that it is on its way. */
export function Loaded<T>({ read, children }: { read: Read<T> & { reload: () => void }; children: (data: T) => ComponentChildren }) {
  if (read.data !== null) {
    return (
      <>
        {read.problem && <ProblemBox problem={read.problem} onRetry={read.reload} />}
        {children(read.data)}
      </>
    );
  }
  if (read.problem) return <ProblemBox problem={read.problem} onRetry={read.reload} />;
  return <p class="empty" aria-busy="true">{t("loading")}</p>;
}

interface Tab {
  to: string;
  title: string;
}

/** Pages beside each other: links, so that each has its own address. */
export function Tabs({ tabs, at, label }: { tabs: Tab[]; at: string; label: string }) {
  const ref = useRef<HTMLElement>(null);
  // On narrow screens the one that is open may be far to the right.
  useEffect(() => {
    const open = ref.current?.querySelector<HTMLElement>("[aria-current]");
    if (open && ref.current) ref.current.scrollLeft = open.offsetLeft - ref.current.offsetLeft - open.offsetWidth / 2;
  }, [at]);
  return (
    <nav class="tabs" aria-label={label} ref={ref}>
      {tabs.map((tab) => (
        <Link key={tab.to} to={tab.to} current={tab.to === at}>
          {tab.title}
        </Link>
      ))}
    </nav>
  );
}
