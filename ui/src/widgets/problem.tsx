// A problem where it happened: what, why, and what to do, with the code that stays the same in every language.

import type { Problem } from "../base/api.ts";
import { known, t } from "../base/i18n.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

/** The title in the user's language, where we have one. */
export function titleOf(problem: Problem): string {
  return known("problem", problem.code, problem.title || t("problem.unexpected"));
}

/** What to do: the server's words, or ours where nobody answered. */
export function remedyOf(problem: Problem): string {
  return problem.remedy || known("remedy", problem.code, "");
}

export function ProblemBox({ problem, onRetry }: { problem: Problem; onRetry?: () => void }) {
  return (
    <div class="note bad" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{titleOf(problem)}</strong>
        {problem.detail && <p>{problem.detail}</p>}
        {remedyOf(problem) && <p class="remedy">{remedyOf(problem)}</p>}
        <p class="code">{problem.code}</p>
        {onRetry && <Button onPress={onRetry}>{t("again")}</Button>}
      </div>
    </div>
  );
}
