// Where an account lives, which copies there are, and its moves as they happen.

import { useState } from "preact/hooks";
import { ask, part, query } from "../../base/api.ts";
import { ago, count, known, moment, t } from "../../base/i18n.ts";
import { changed, useLive } from "../../base/live.ts";
import type { Copy, Entry, Page, Place, Plan } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Confirm } from "../../widgets/dialog.tsx";
import { Link } from "../../widgets/link.tsx";
import { Badge, Loaded, Section } from "../../widgets/parts.tsx";
import { attempt, done } from "../../widgets/toast.tsx";
import { MoveDialog, MoveWatch } from "../servers/move.tsx";

export function Placement({ entry }: { entry: Entry }) {
  const [moves, setMoves] = useState(false);
  const [begun, setBegun] = useState<number | null>(null);
  const place = useLive<Place>(`/accounts/${part(entry.id)}/where`);
  const copies = useLive<Page<Copy>>(`/accounts/${part(entry.id)}/copies`);
  const job = place.data?.job ?? begun;
  const isMoving = place.data?.moving_to !== null && place.data !== null;
  return (
    <Section
      title={t("place.title")}
      actions={
        <Button disabled={isMoving} onPress={() => setMoves(true)}>
          {t("move.action")}
        </Button>
      }
    >
      <Loaded read={place}>
        {(data) => (
          <p>
            {t("place.lives")} <Link to={`/servers/${part(data.server)}`}>{data.server}</Link>
          </p>
        )}
      </Loaded>
      {job && (
        <MoveWatch
          job={job}
          account={entry.id}
          onEnd={() => changed(`/accounts/${part(entry.id)}`, "/users", "/servers")}
        />
      )}
      {(copies.data?.items ?? [])
        .filter((copy) => copy.purpose !== "moving")
        .map((copy) => (
          <CopyLine key={copy.server} entry={entry} copy={copy} isMoving={isMoving} onBegun={setBegun} />
        ))}
      {moves && (
        <MoveDialog
          accounts={[{ id: entry.id, address: entry.address, server: place.data?.server }]}
          onClose={() => setMoves(false)}
          onBegun={setBegun}
        />
      )}
    </Section>
  );
}

interface CopyProps {
  entry: Entry;
  copy: Copy;
  isMoving: boolean;
  onBegun: (job: number) => void;
}

/** A copy that is kept for the way back, or that stands by. */
function CopyLine({ entry, copy, isMoving, onBegun }: CopyProps) {
  const [drops, setDrops] = useState(false);
  const back = (): Promise<boolean> =>
    attempt(async () => {
      const body = { kind: "move", which: { accounts: [String(entry.id)] }, back: true };
      const { data } = await ask<Plan>("POST", "/jobs", { body });
      if (data.job) onBegun(data.job.id);
      changed("/jobs", `/accounts/${part(entry.id)}`);
      done(t("move.begun"));
    });
  const isKept = copy.purpose === "kept";
  return (
    <div class="line">
      <div>
        <Badge tone={isKept ? "plain" : "info"}>{known("purpose", copy.purpose)}</Badge>{" "}
        <Link to={`/servers/${part(copy.server)}`}>{copy.server}</Link>
        <p class="soft">
          {isKept && copy.until && <span title={moment(copy.until)}>{t("place.kept-until", { until: ago(copy.until) })}</span>}
          {!isKept && t("place.durability", { n: copy.durability ?? 1 })}
          {copy.lag !== null && <> · {copy.lag === 0 ? t("place.equal") : count("lag", copy.lag)}</>}
        </p>
      </div>
      <div class="actions">
        {isKept && (
          <Button disabled={isMoving} onPress={back}>
            {t("move.back")}
          </Button>
        )}
        <Button kind="quiet" onPress={() => setDrops(true)}>
          {t("place.drop")}
        </Button>
      </div>
      {drops && (
        <Confirm
          title={t("place.drop-title", { server: copy.server })}
          action={t("place.drop")}
          danger
          onClose={() => setDrops(false)}
          onConfirm={async () => {
            const path = `/accounts/${part(entry.id)}/copies/${part(copy.server)}`;
            await ask("DELETE", path + query({ purpose: copy.purpose }));
            changed(`/accounts/${part(entry.id)}`);
          }}
        >
          <p>{t(isKept ? "place.drop-kept" : "place.drop-standby")}</p>
        </Confirm>
      )}
    </div>
  );
}
