// Tokens that were given out and not used yet.

import { ask, part } from "../../base/api.ts";
import { ago, known, moment, t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import type { Token } from "../../base/types.ts";
import { Button } from "../../widgets/button.tsx";
import { Table } from "../../widgets/table.tsx";
import { attempt, done } from "../../widgets/toast.tsx";

export function Tokens({ tokens }: { tokens: Token[] }) {
  const revoke = (token: Token) => () =>
    attempt(async () => {
      await ask("DELETE", `/tokens/${part(token.id)}`);
      changed("/tokens");
      done(t("tokens.revoked"));
    });
  return (
    <Table
      caption={t("tokens.title")}
      rows={tokens}
      keyOf={(token) => token.id}
      empty={t("tokens.none")}
      columns={[
        { title: t("server"), cell: (token) => token.name ?? t("tokens.any-name") },
        { title: t("server.roles"), cell: (token) => token.roles.map((role) => known("role", role)).join(", ") },
        { title: t("tokens.expires"), cell: (token) => <span title={moment(token.expires_at)}>{ago(token.expires_at)}</span> },
        {
          title: t("actions"),
          cell: (token) => (
            <Button kind="quiet" onPress={revoke(token)}>
              {t("tokens.revoke")}
            </Button>
          ),
        },
      ]}
    />
  );
}
