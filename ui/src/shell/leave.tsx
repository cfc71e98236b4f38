// The question before something that was typed is left behind.

import { t } from "../base/i18n.ts";
import { leaving } from "../base/unsaved.ts";
import { Button } from "../widgets/button.tsx";
import { Dialog } from "../widgets/dialog.tsx";

export function LeaveDialog() {
  const go = leaving.value;
  if (!go) return null;
  const stay = (): void => {
    leaving.value = null;
  };
  return (
    <Dialog title={t("leave.title")} onClose={stay}>
      <p>{t("leave.lead")}</p>
      <footer class="actions">
        <Button onPress={stay}>{t("leave.stay")}</Button>
        <Button
          kind="danger"
          onPress={() => {
            stay();
            go();
          }}
        >
          {t("leave.go")}
        </Button>
      </footer>
    </Dialog>
  );
}
