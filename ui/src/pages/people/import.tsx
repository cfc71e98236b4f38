// People from a list: tried whole, shown, and then made.

import { useState } from "preact/hooks";
import { ask, asProblem, type Problem } from "../../base/api.ts";
import { partsOf } from "../../base/csv.ts";
import { t } from "../../base/i18n.ts";
import { changed } from "../../base/live.ts";
import { Button } from "../../widgets/button.tsx";
import { Dialog } from "../../widgets/dialog.tsx";
import { ProblemBox } from "../../widgets/problem.tsx";
import { Table } from "../../widgets/table.tsx";
import { done } from "../../widgets/toast.tsx";

/** People of one request. */
const PART = 100;

interface LineError {
  line: number;
  address: string;
  detail: string;
}

interface Report {
  created: number;
  existing: number;
  errors: LineError[];
}

async function send(text: string, tries: boolean, partial: boolean): Promise<Report> {
  const whole: Report = { created: 0, existing: 0, errors: [] };
  for (const part of partsOf(text, PART)) {
    const path = `/people-imports${tries ? "?dry_run=true" : ""}`;
    const { data } = await ask<Report>("POST", path, { body: { csv: part.text, partial } });
    whole.created += data.created;
    whole.existing += data.existing;
    whole.errors.push(...data.errors.map((error) => ({ ...error, line: part.lineOf(error.line) })));
  }
  return whole;
}

export function ImportDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState<string | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const work = async (step: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await step();
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  const choose = (file: File | undefined): void => {
    setReport(null);
    setText(null);
    if (!file) return;
    void work(async () => {
      let read: string;
      try {
        read = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      } catch {
        return setProblem({ status: 0, code: "list-not-utf8", title: "", detail: file.name, remedy: "" });
      }
      setReport(await send(read, true, false));
      setText(read);
    });
  };
  const make = () =>
    work(async () => {
      const made = await send(text ?? "", false, true);
      changed("/users", "/status");
      done(t("import.done", { made: made.created, wrong: made.errors.length }));
      onClose();
    });
  return (
    <Dialog title={t("import.title")} wide onClose={onClose}>
      <p>{t("import.lead")}</p>
      <div class="field">
        <label for="import-file">{t("import.file")}</label>
        <input id="import-file" type="file" accept=".csv,text/csv,text/plain" onChange={(event) => choose(event.currentTarget.files?.[0])} />
      </div>
      {problem && <ProblemBox problem={problem} />}
      {report && <p role="status">{t("import.tried", { created: report.created, existing: report.existing, wrong: report.errors.length })}</p>}
      {report && report.errors.length > 0 && (
        <Table
          caption={t("import.errors")}
          rows={report.errors}
          keyOf={(error) => String(error.line)}
          empty=""
          columns={[
            { title: t("import.line"), numeric: true, cell: (error) => String(error.line) },
            { title: t("import.address"), cell: (error) => error.address },
            { title: t("import.errors"), cell: (error) => error.detail },
          ]}
        />
      )}
      <footer class="actions">
        <Button onPress={onClose}>{t("cancel")}</Button>
        {report && report.created > 0 && (
          <Button kind="primary" busy={busy} onPress={make}>
            {t(report.errors.length > 0 ? "import.make-others" : "import.make")}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
