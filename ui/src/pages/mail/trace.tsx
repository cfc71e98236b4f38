// Where is my mail? A search, and for each message what became of it, step by step, in the words of the servers.

import { useState } from "preact/hooks";
import { part, query } from "../../base/api.ts";
import { bytes, clock, count, known, list, moment, t } from "../../base/i18n.ts";
import { useLive } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Trace, TracedMessage, TraceEvent } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Page, type Tone } from "../../widgets/parts.tsx";
import { MailTabs } from "./tabs.tsx";

const TONES: Record<TraceEvent["what"], Tone> = {
  refused: "bad",
  verdict: "plain",
  delivered: "good",
  queued: "info",
  sent: "good",
  deferred: "attention",
  failed: "bad",
};

/** How often it is read again while it is looked at, in milliseconds: what waits is tried again. */
const ASK_MS = 10_000;

const DAYS = [1, 7, 30];

export function TracePage() {
  const text = parameters.value.get("text") ?? "";
  const days = parameters.value.get("days") ?? "7";
  const [typed, setTyped] = useState(text);
  const path = text === "" ? null : `/trace${query({ text, since_seconds: Number(days) * 86_400, limit: 50 })}`;
  const trace = useLive<Trace>(path, ASK_MS);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (typed.trim() === text) trace.reload();
    else setParameter("text", typed.trim());
  };
  return (
    <Page title={t("nav.mail")}>
      <MailTabs />
      <form class="filters" role="search" onSubmit={submit}>
        <input
          type="search"
          class="long"
          aria-label={t("trace.what")}
          placeholder={t("trace.what")}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <select aria-label={t("trace.since")} value={days} onChange={(event) => setParameter("days", event.currentTarget.value)}>
          {DAYS.map((n) => (
            <option key={n} value={n}>
              {count("trace.days", n)}
            </option>
          ))}
        </select>
        <Button type="submit" kind="primary" icon="search">
          {t("search")}
        </Button>
      </form>
      {path === null ? (
        <p class="empty">{t("trace.lead")}</p>
      ) : (
        <Loaded read={trace}>
          {(data) => (
            <>
              {data.not_asked.length > 0 && <p class="remedy">{t("trace.not-asked", { servers: list(data.not_asked) })}</p>}
              {data.messages.length === 0 && <p class="empty">{t("trace.none")}</p>}
              {data.messages.map((message) => (
                <Message key={`${message.edge} ${message.id} ${message.at}`} message={message} />
              ))}
            </>
          )}
        </Loaded>
      )}
    </Page>
  );
}

function Message({ message }: { message: TracedMessage }) {
  const recipients = [...new Set(message.events.map((event) => event.recipient).filter((one) => one !== ""))];
  return (
    <section class="card message" aria-label={t("trace.message", { sender: message.sender || "<>", at: moment(message.at) })}>
      <header>
        <h2>
          {message.sender || "<>"} → {recipients.slice(0, 3).join(", ") || "–"}
          {recipients.length > 3 && ` +${recipients.length - 3}`}
        </h2>
      </header>
      <p class="soft">
        {moment(message.at)} · {t("trace.by", { edge: message.edge, origin: message.origin || "–" })}
        {message.size_bytes > 0 && ` · ${bytes(message.size_bytes)}`}
        {message.message_id && (
          <>
            {" · "}
            <code>{message.message_id}</code>
          </>
        )}
      </p>
      <ol class="timeline">
        {message.events.map((event, index) => (
          <li key={index} class={TONES[event.what]}>
            <time dateTime={event.at} title={moment(event.at)}>
              {clock(event.at)}
            </time>
            <div>
              <p>
                <Badge tone={TONES[event.what]}>{known("traced", event.what)}</Badge> {event.recipient}
                {event.server && (
                  <>
                    {" → "}
                    <Link to={`/servers/${part(event.server)}`}>{event.server}</Link>
                  </>
                )}
                {!event.server && event.host && <> → {event.host}</>}
              </p>
              {event.detail && <p class="detail">{event.detail}</p>}
              {event.next && <p class="soft">{t("trace.next", { at: moment(event.next) })}</p>}
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
