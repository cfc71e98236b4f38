// What waits to be sent or delivered, why, and what can be done about it.

import { useState } from "preact/hooks";
import { ask, part, query } from "../../base/api.ts";
import { ago, bytes, count, list, moment, t } from "../../base/i18n.ts";
import { changed, usePages } from "../../base/live.ts";
import { parameters, setParameter } from "../../base/router.ts";
import type { Delivery } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Field } from "../../widgets/field.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Page } from "../../widgets/parts.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { More, Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { GraphsSection } from "../graphs/graphs.tsx";
import { MailTabs } from "./tabs.tsx";

const FILTERS = ["sender", "recipient", "destination"] as const;

/** How often it is read again while it is looked at, in milliseconds: it moves by itself. */
const ASK_MS = 5000;

type Action = "hold" | "release" | "retry" | "reroute" | "delete";

export function QueuePage() {
  const filter = Object.fromEntries(FILTERS.map((name) => [name, parameters.value.get(name) ?? ""]));
  const held = parameters.value.get("held") ?? "";
  const queue = usePages<Delivery>(`/queue${query({ limit: 100, ...filter, held })}`, ASK_MS);
  const [chosen, setChosen] = useState(new Set<string>());
  // A message with several destinations has several rows.
  const keyOf = (delivery: Delivery): string => `${delivery.server} ${delivery.id} ${delivery.destination}`;
  const picked = queue.items.filter((delivery) => chosen.has(keyOf(delivery)));
  return (
    <Page title={t("nav.mail")} actions={<Button onPress={queue.reload}>{t("reload")}</Button>}>
      <MailTabs />
      <search class="filters">
        {FILTERS.map((name) => (
          <input
            key={name}
            type="search"
            aria-label={t(`queue.${name}`)}
            placeholder={t(`queue.${name}`)}
            defaultValue={filter[name]}
            onChange={(event) => setParameter(name, event.currentTarget.value.trim())}
          />
        ))}
        <select aria-label={t("state")} value={held} onChange={(event) => setParameter("held", event.currentTarget.value)}>
          <option value="">{t("queue.all")}</option>
          <option value="false">{t("queue.waiting")}</option>
          <option value="true">{t("queue.held")}</option>
        </select>
      </search>
      {picked.length > 0 && <Actions deliveries={picked} onDone={() => setChosen(new Set())} />}
      {queue.unreachable.length > 0 && <p class="remedy">{t("mail.unreachable", { servers: list(queue.unreachable) })}</p>}
      {queue.problem && <ProblemBox problem={queue.problem} onRetry={queue.reload} />}
      <Table
        caption={t("queue.title")}
        rows={queue.items}
        keyOf={keyOf}
        nameOf={(delivery) => delivery.recipients.join(", ")}
        chosen={chosen}
        onChoose={setChosen}
        empty={queue.loading ? t("loading") : t("queue.empty")}
        columns={[
          {
            title: t("queue.recipient"),
            cell: (delivery) => (
              <>
                {delivery.recipients.join(", ")}
                <p class="soft">{t("queue.from", { sender: delivery.sender || "<>" })}</p>
              </>
            ),
          },
          {
            title: t("state"),
            cell: (delivery) => (
              <Badge tone={delivery.state === "held" ? "attention" : "info"}>
                {t(delivery.state === "held" ? "queue.held" : "queue.waiting")}
              </Badge>
            ),
          },
          {
            title: t("queue.why"),
            cell: (delivery) => (
              <>
                {delivery.last_reply || "–"}
                <p class="soft">
                  {delivery.destination} {delivery.last_host && `· ${delivery.last_host}`} ·{" "}
                  {count("queue.attempts", delivery.attempts)}
                </p>
              </>
            ),
          },
          { title: t("server"), cell: (delivery) => <Link to={`/servers/${part(delivery.server)}`}>{delivery.server}</Link> },
          { title: t("queue.next"), cell: (delivery) => <span title={moment(delivery.next)}>{ago(delivery.next)}</span> },
          { title: t("queue.received"), cell: (delivery) => <span title={moment(delivery.received)}>{ago(delivery.received)}</span> },
          { title: t("size"), numeric: true, cell: (delivery) => bytes(delivery.size_bytes) },
          { title: t("trace.title"), cell: (delivery) => <Link to={`/mail/trace?text=${part(delivery.id)}`}>{t("trace.show")}</Link> },
        ]}
      />
      <More more={queue.more} loading={queue.loading} />
      <GraphsSection drawn={["queue_messages", "deliveries_per_minute"]} />
    </Page>
  );
}

function Actions({ deliveries, onDone }: { deliveries: Delivery[]; onDone: () => void }) {
  const [asks, setAsks] = useState<"reroute" | "delete" | null>(null);
  const [to, setTo] = useState("");
  const act = async (action: Action): Promise<void> => {
    for (const { id, destination, server } of deliveries) {
      const body = { action, server, filter: { id, destination }, ...(action === "reroute" ? { to: to.trim() } : {}) };
      await ask("POST", "/queue", { body });
    }
    changed("/queue");
  };
  const press = (action: Action, back?: Action) => () =>
    attempt(async () => {
      await act(action);
      done(t(`queue.did-${action}`), back && (() => act(back)));
      onDone();
    });
  const confirmed = async (action: "reroute" | "delete"): Promise<void> => {
    await act(action);
    done(t(`queue.did-${action}`));
    onDone();
  };
  return (
    <div class="bulk" role="toolbar" aria-label={t("bulk.label")}>
      <span>{count("bulk.chosen", deliveries.length)}</span>
      <Button onPress={press("retry")}>{t("queue.retry")}</Button>
      <Button onPress={press("hold", "release")}>{t("queue.hold")}</Button>
      <Button onPress={press("release", "hold")}>{t("queue.release")}</Button>
      <Button onPress={() => setAsks("reroute")}>{t("queue.reroute")}</Button>
      <Button kind="danger" onPress={() => setAsks("delete")}>
        {t("delete")}
      </Button>
      {asks === "delete" && (
        <Confirm
          title={count("queue.delete-title", deliveries.length)}
          action={t("delete.for-ever")}
          name={t("queue.delete-word")}
          danger
          onClose={() => setAsks(null)}
          onConfirm={() => confirmed("delete")}
        >
          <p>{t("queue.delete-lead")}</p>
        </Confirm>
      )}
      {asks === "reroute" && (
        <Confirm title={t("queue.reroute")} action={t("queue.reroute")} onClose={() => setAsks(null)} onConfirm={() => confirmed("reroute")}>
          <Field
            spec={{ name: "to", label: t("queue.reroute-to"), kind: "text", required: true, hint: t("queue.reroute-hint") }}
            value={to}
            onChange={(value) => setTo(String(value))}
          />
        </Confirm>
      )}
    </div>
  );
}
