// The frame around every page: navigation, search box, who is signed in, messages.

import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { signedOut } from "../base/api.ts";
import { t } from "../base/i18n.ts";
import { useHints } from "../base/live.ts";
import { path } from "../base/router.ts";
import { isSignedIn, session, sessionProblem, signOut, whoAmI } from "../base/session.ts";
import { Button } from "../widgets/button.tsx";
import { Icon } from "../widgets/icon.tsx";
import { Link } from "../widgets/link.tsx";
import { ProblemBox } from "../widgets/problem.tsx";
import { attempt, Toasts } from "../widgets/toast.tsx";
import { LeaveDialog } from "./leave.tsx";
import { Navigation } from "./navigation.tsx";
import { Palette, paletteOpen } from "./palette.tsx";
import { CurrentPage } from "./routes.tsx";
import { SignIn, SignInAgain } from "./sign-in.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";

/** On narrow screens the navigation lies over the page. */
const navigationOpen = signal(false);

export function Shell() {
  useHints(isSignedIn);
  useKeys();
  useSignalEffect(() => {
    void path.value;
    navigationOpen.value = false;
  });
  if (session.value === undefined) return <p class="empty" aria-busy="true" />;
  if (sessionProblem.value) {
    return (
      <main class="sign-in">
        <h1 class="hidden-but-read">{t("product")}</h1>
        <ProblemBox problem={sessionProblem.value} onRetry={() => void whoAmI()} />
      </main>
    );
  }
  if (!session.value) {
    return (
      <>
        <SignIn />
        <Toasts />
      </>
    );
  }
  return (
    <>
      <a class="skip" href="#content">
        {t("skip")}
      </a>
      <div class={`frame ${navigationOpen.value ? "navigation-open" : ""}`}>
        <Top />
        <Navigation />
        <main id="content" tabIndex={-1}>
          <FocusedPage />
        </main>
      </div>
      <Palette />
      <LeaveDialog />
      <Toasts />
      {signedOut.value && <SignInAgain login={session.value.login} />}
    </>
  );
}

/** A new page takes the focus to its heading; the first one leaves it to the browser, which begins at the top. */
function FocusedPage() {
  const at = path.value;
  const isFirst = useRef(true);
  useEffect(() => {
    const heading = document.querySelector<HTMLElement>("#content h1");
    if (!isFirst.current) heading?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [at]);
  return <CurrentPage />;
}

function Top() {
  const name = session.value?.name || session.value?.login || "";
  return (
    <header class="top">
      <span class="narrow-only">
        <Button
          kind="quiet"
          icon="menu"
          label={t("nav.open")}
          onPress={() => {
            navigationOpen.value = !navigationOpen.value;
          }}
        />
      </span>
      <span class="brand">{t("product")}</span>
      <button type="button" class="find" onClick={() => (paletteOpen.value = true)} aria-keyshortcuts="Control+K">
        <Icon name="search" />
        <span>{t("search")}</span>
        <kbd>Ctrl K</kbd>
      </button>
      <div class="who">
        <span class="wide-only">
          <LanguageSwitch />
          <ThemeSwitch />
        </span>
        <Link to="/me" class="name">
          {name}
        </Link>
        <Button kind="quiet" onPress={() => attempt(signOut)}>
          {t("signout")}
        </Button>
      </div>
    </header>
  );
}

function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const isCommand = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
      const target = event.target as HTMLElement;
      const types = target.matches("input, textarea, select, [contenteditable]");
      if (!isSignedIn.peek() || (!isCommand && (event.key !== "/" || types || event.ctrlKey || event.metaKey))) return;
      if (document.querySelector("dialog[open]")) return;
      event.preventDefault();
      paletteOpen.value = true;
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
